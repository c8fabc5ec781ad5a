//! `[tokens.NAME]`: the entries of the token table, of all files.

use std::collections::HashSet;
use std::ops::Range;

use super::Reader;
use crate::config::code::Code;
use crate::config::read::{At, Table};
use crate::config::{doubts, literals, placeholders, restrictions, values};
use crate::core::permission::Grants;
use crate::core::principal::{Digest, OrganizationId, UserId};
use crate::core::token::{TokenSpec, UnixSeconds};

/// SHA-256 of the tokens that stand in the README.
const DEMO_DIGESTS: [&str; 2] = [
    "295db0545046da79fb81ee057c7054213df2e3dc2a9a83e5e13e65398596d3e2",
    "86fd2b78a9678bda55c414ff587735227aad560954a787f4e57c5086e4ee33e2",
];

/// The first few are enough to be reminded.
const NAMED: usize = 5;

impl Reader<'_> {
    /// The entries of the token tables of all files.
    pub(super) fn tokens(&mut self, tables: Vec<(At<&str>, Table<'_>)>) -> Vec<TokenSpec> {
        let (mut specs, mut over) = (Vec::new(), 0);
        let mut names = HashSet::new();
        for (name, table) in tables {
            let report = table.report();
            if !names.insert(name.value.to_owned()) {
                let message = format!("token `{}` is in another file, too", name.value);
                let help = "give it another name";
                report.error(Code::Duplicate, name.span.clone(), message, help);
            }
            let spec = self.token(&name, table);
            if let Some(spec) = spec.as_ref().filter(|_| over < NAMED) {
                over += usize::from(doubts::check_times(report, &name, spec, self.now));
            }
            specs.extend(spec);
        }
        specs
    }

    fn token(&mut self, name: &At<&str>, mut table: Table<'_>) -> Option<TokenSpec> {
        let certificate = table.parsed("san", values::alternative_name);
        // A certificate may well be for all hosts of a domain.
        let shown = table.string("san").filter(|text| !text.value.starts_with("dns:*."));
        if let Some(text) = shown {
            literals::check_literal(table.report(), "name", &text);
        }
        if let Some(at) = &certificate {
            self.check_certificate(name.value, at, &table);
        }
        let is_needed = table.value("san").is_none();
        let digest = self.digest(&mut table, is_needed);
        for key in ["user", "organization"] {
            if let Some(text) = table.string(key) {
                literals::check_identity(table.report(), key, &text);
            }
        }
        let user = table.required_string("user");
        let user = user.and_then(|text| {
            table.check("user", text, |t| UserId::parse(t).map_err(|e| e.to_string()))
        });
        let organization = table.required_string("organization");
        let organization = organization.and_then(|text| {
            let parse = |t: &str| OrganizationId::parse(t).map_err(|e| e.to_string());
            table.check("organization", text, parse)
        });
        let grants = self.grants(&mut table);
        restrictions::check_ways(table.report(), name, &grants, &mut self.ways);
        let expires = expires(&mut table);
        let revoked = moment(&mut table, "revoked");
        let is_demo = digest.as_ref().is_some_and(|digest| is_demo(&digest.value));
        if revoked.is_none() && !is_demo && says_never(&mut table) {
            self.warn_of_endless(name, &table);
        }
        if let Some(digest) = &digest {
            self.check_digest(name.value, digest, &table);
            // One that is over lets nobody in, and tells who tries.
            let is_over = [revoked, expires].iter().flatten().any(|end| *end <= self.now);
            if is_demo && !is_over {
                self.check_demo(name.value, digest, &table);
            }
        }
        table.finish();
        Some(TokenSpec {
            name: name.value.into(),
            digest: digest.map(|at| at.value),
            certificate: certificate.map(|at| at.value.into()),
            user: user?.value,
            organization: organization?.value,
            grants,
            expires,
            revoked,
        })
    }

    fn warn_of_endless(&mut self, name: &At<&str>, table: &Table<'_>) {
        self.endless += 1;
        if self.endless <= NAMED {
            let more = if self.endless == NAMED { "; there may be more like it" } else { "" };
            let message = format!("token `{}` never expires{more}", name.value);
            let help = "doorward token new NAME --expires 90d makes one with an end";
            table.report().warning(Code::NeverExpires, name.span.clone(), message, help);
        }
    }

    /// The digest itself, or where it is: one of the three keys, where a certificate is not enough.
    fn digest(&self, table: &mut Table<'_>, is_needed: bool) -> Option<At<Digest>> {
        let given = [
            table.parsed("sha256", values::sha256),
            table.parsed("sha256_file", |n| values::sha256_output(&self.files.read_text(n)?)),
            table.parsed("sha256_env", |n| values::sha256_output(&values::variable(n)?)),
        ];
        let keys = ["sha256", "sha256_file", "sha256_env"];
        let count = keys.into_iter().filter(|key| table.value(key).is_some()).count();
        let message = "a token needs one of `sha256`, `sha256_file`, `sha256_env`, or `san`";
        let help = "make one with: doorward token new";
        if count > 1 {
            table.report().error(Code::Conflict, table.span(), message.to_owned(), help);
        } else if is_needed {
            let keys = &["sha256", "sha256_file", "sha256_env", "san"];
            table.lack(keys, Code::Conflict, table.span(), (message, help));
        }
        let digest = given.into_iter().flatten().next();
        if let Some(at) = &digest
            && let Some(message) = placeholders::digest_doubt(&at.value)
        {
            let help = "make one with: doorward token new";
            table.report().warning(Code::Placeholder, at.span.clone(), message, help);
        }
        digest
    }

    fn grants(&mut self, table: &mut Table<'_>) -> Grants {
        let roles = self.roles(table, "roles");
        Grants { roles, direct: self.patterns(table, &["tools", "prompts", "resources"]) }
    }

    fn check_certificate(&mut self, name: &str, shown: &At<String>, table: &Table<'_>) {
        if let Some(other) = self.certificates.insert(shown.value.clone(), name.to_owned()) {
            table.report().error(
                Code::Duplicate,
                shown.span.clone(),
                format!("tokens `{other}` and `{name}` have the same `san`"),
                "one certificate is one caller",
            );
        }
        if !self.asks_for_certificates {
            let message = "`san` means nothing: no client is asked for a certificate".to_owned();
            let help = "add client_ca_file in [server.tls]";
            table.report().warning(Code::Useless, shown.span.clone(), message, help);
        }
    }

    fn check_digest(&mut self, name: &str, digest: &At<Digest>, table: &Table<'_>) {
        if let Some(other) = self.digests.insert(digest.value, name.to_owned()) {
            table.report().error(
                Code::Duplicate,
                digest.span.clone(),
                format!("tokens `{other}` and `{name}` have the same digest"),
                "one secret is one caller; make another with: doorward token new",
            );
        }
    }

    fn check_demo(&self, name: &str, digest: &At<Digest>, table: &Table<'_>) {
        if let Some(why) = self.exposed {
            let message = format!("token `{name}` is the public demo token, and {why}");
            let help = "remove it; everybody knows it";
            table.report().error(Code::DemoToken, digest.span.clone(), message, help);
        }
    }
}

fn is_demo(digest: &Digest) -> bool {
    DEMO_DIGESTS.iter().any(|demo| values::sha256(demo).as_ref() == Ok(digest))
}

fn says_never(table: &mut Table<'_>) -> bool {
    table.value("expires").is_some_and(|value| value.get_ref().as_str() == Some("never"))
}

/// Expiry has to be said, so that nobody forgets it.
fn expires(table: &mut Table<'_>) -> Option<UnixSeconds> {
    match table.value("expires") {
        Some(_) if says_never(table) => None,
        Some(_) => moment(table, "expires"),
        None => {
            let help = "add a date like expires = 2027-06-30, or expires = \"never\"";
            let told = ("`expires` is missing", help);
            table.lack(&["expires"], Code::Missing, table.span(), told);
            None
        }
    }
}

pub(in crate::config) fn moment(table: &mut Table<'_>, key: &'static str) -> Option<UnixSeconds> {
    let value = table.value(key)?;
    let parsed = value.get_ref().as_datetime().and_then(values::moment);
    if parsed.is_none() {
        let span: Range<usize> = value.span();
        let message = format!("`{key}` must be a date, or a date and time with its offset");
        table.report().error(
            Code::WrongType,
            span,
            message,
            "write 2027-06-30 or 2027-06-30T12:00:00Z, unquoted",
        );
    }
    parsed
}
