//! Roles, tokens and routes: the part of the file that decides.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::code::Code;
use super::conditions;
use super::doubts;
use super::files::Files;
use super::issuers::{self, IssuerSpec};
use super::lock::Approved;
use super::read::{At, Table, did_you_mean};
use super::restrictions::{self, Restriction, Whose};
use super::settings::Settings;
use super::upstreams::UpstreamSpec;
use super::values;
use crate::core::access::Tools;
use crate::core::argument::{Declared, Shadow, When};
use crate::core::pasted;
use crate::core::pattern::{BadPattern, Pattern};
use crate::core::permission::{Grants, Patterns, Role, TargetKind};
use crate::core::pin::{Definition, Pins};
use crate::core::policy::{Policy, Route, Trust};
use crate::core::principal::{Digest, OrganizationId, UserId};
use crate::core::protected::Protected;
use crate::core::rule::Rule;
use crate::core::token::{TokenSpec, TokenTable, UnixSeconds};

/// SHA-256 of the tokens that stand in the README.
const DEMO_DIGESTS: [&str; 2] = [
    "295db0545046da79fb81ee057c7054213df2e3dc2a9a83e5e13e65398596d3e2",
    "86fd2b78a9678bda55c414ff587735227aad560954a787f4e57c5086e4ee33e2",
];

/// The first few are enough to be reminded.
const NAMED: usize = 5;

type Parse = fn(&str) -> Result<Pattern, BadPattern>;

/// What decides.
pub(super) struct Decides {
    pub(super) policy: Policy,
    pub(super) named_tools: Tools,
    pub(super) issuers: Vec<IssuerSpec>,
    pub(super) roles: BTreeMap<String, Arc<Role>>,
    /// Rules that are only tried out.
    pub(super) shadows: Vec<(Rule, Shadow)>,
}

/// What has been read before.
#[derive(Clone, Copy)]
pub(super) struct Given<'g> {
    pub(super) settings: &'g Settings,
    /// The reason for which somebody else than this machine may come, if somebody may.
    pub(super) exposed: Option<&'g str>,
    pub(super) now: UnixSeconds,
    pub(super) files: &'g Files,
    /// By the names of upstreams.
    pub(super) pins: &'g BTreeMap<String, Arc<Pins>>,
    /// The tools that upstreams have, where that is known.
    pub(super) known: Option<&'g Tools>,
    /// The definitions that upstreams say they have, where they were asked.
    pub(super) told: Option<&'g Approved>,
    /// True where a file with tokens could not be read.
    pub(super) is_partial: bool,
}

/// Reads `[tools."upstream/tool"]`, `[roles.NAME]` and `[tokens.NAME]`, these from the included
/// files, too, and joins them with the routes of the upstreams.
pub(super) fn read<'t>(
    file: &mut Table<'t>,
    included: &mut [Table<'t>],
    given: &Given<'_>,
) -> Decides {
    let Given { settings, exposed, now, files, pins, known, told, is_partial } = *given;
    let mut reader = Reader {
        files,
        known,
        upstreams: settings.upstreams.iter().map(|u| u.name.as_str()).collect(),
        exposed,
        now,
        roles: BTreeMap::new(),
        named_tools: Tools::new(),
        digests: HashMap::new(),
        certificates: HashMap::new(),
        shadows: Vec::new(),
        restrictions: Vec::new(),
        ways: BTreeSet::new(),
        definitions: definitions(pins, told),
        endless: 0,
        asks_for_certificates: settings.tls.as_ref().is_some_and(|tls| tls.clients.is_some()),
    };
    let facts = conditions::of_tools(file, &mut reader);
    for (name, table) in file.named_tables("roles") {
        let role = reader.role(name.value, table);
        reader.roles.insert(name.value.to_owned(), Arc::new(role));
    }
    let mut tables = file.named_tables("tokens");
    tables.extend(included.iter_mut().flat_map(|source| source.named_tables("tokens")));
    let has_tokens = !tables.is_empty();
    let specs = reader.tokens(tables);
    let has_url = settings.public_url.is_some();
    let issuers = issuers::read(file, &mut reader, has_url, &specs, files);
    if !has_tokens && file.value("issuers").is_none() && !is_partial {
        let message = "there are no tokens: every call will be refused".to_owned();
        file.report().warning(Code::NoTokens, 0..0, message, "add [tokens.NAME]");
    }
    if !is_partial {
        restrictions::check(file, &reader, &specs, &issuers);
    }
    let facts: Arc<[When]> = facts.into();
    let routes = settings.upstreams.iter().map(|upstream| {
        let protected = protected(settings.public_url.as_ref(), upstream, &issuers);
        let route = Route {
            upstream: upstream.name.as_str().into(),
            tasks: upstream.tasks,
            facts: Arc::clone(&facts),
            pins: pins.get(&upstream.name).cloned(),
            protected,
        };
        (upstream.path.clone(), route)
    });
    let tokens = TokenTable::new(specs);
    let policy = Policy::new(routes.collect(), tokens, settings.limits.json_depth);
    let policy = policy.trusting(trust(settings, &issuers));
    let Reader { named_tools, roles, shadows, .. } = reader;
    Decides { policy, named_tools, issuers, roles, shadows }
}

/// The tools whose schemas are known, with the names of their upstreams: those that upstreams say
/// they have, else those that were approved.
fn definitions<'g>(
    pins: &'g BTreeMap<String, Arc<Pins>>,
    told: Option<&'g Approved>,
) -> Vec<(&'g str, &'g str, &'g Definition)> {
    let told = told.into_iter().flatten().flat_map(|(upstream, tools)| {
        tools.iter().map(|(tool, definition)| (upstream.as_str(), tool.as_str(), definition))
    });
    let mut all: Vec<_> = told.collect();
    if all.is_empty() {
        all.extend(pins.iter().flat_map(|(upstream, pins)| {
            pins.tools().map(|(tool, definition)| (upstream.as_str(), tool, definition))
        }));
    }
    all
}

/// What proofs of identity are checked with.
fn trust(settings: &Settings, issuers: &[IssuerSpec]) -> Trust {
    let keys = issuers.iter().map(|spec| (format!("keys of {}", spec.issuer.name), spec.trust));
    let clients = settings.tls.as_ref().and_then(|tls| tls.clients.as_ref());
    let clients = clients.map(|clients| {
        let mut digest = Sha256::new();
        clients.roots.iter().for_each(|root| digest.update(root));
        ("authorities of client certificates".to_owned(), digest.finalize().into())
    });
    keys.chain(clients).collect()
}

/// How callers of an upstream may come with a JWT, where one of the issuers is for it.
fn protected(
    public_url: Option<&http::Uri>,
    upstream: &UpstreamSpec,
    issuers: &[IssuerSpec],
) -> Option<Arc<Protected>> {
    let serving = issuers.iter().filter(|issuer| issuer.serves(&upstream.name));
    let serving: Vec<_> = serving.map(|spec| Arc::clone(&spec.issuer)).collect();
    let origin = public_url?.to_string().trim_end_matches('/').to_owned();
    let has_any = !serving.is_empty();
    has_any.then(|| Arc::new(Protected::new(&origin, &upstream.path, serving)))
}

pub(super) struct Reader<'s> {
    files: &'s Files,
    known: Option<&'s Tools>,
    upstreams: Vec<&'s str>,
    /// The reason for which somebody else than this machine may come, if somebody may.
    exposed: Option<&'s str>,
    pub(super) now: UnixSeconds,
    pub(super) roles: BTreeMap<String, Arc<Role>>,
    /// Patterns that restrict everybody, so far.
    pub(super) restrictions: Vec<Restriction>,
    /// Ways round conditions that have been told.
    ways: BTreeSet<String>,
    definitions: Vec<(&'s str, &'s str, &'s Definition)>,
    named_tools: Tools,
    /// Digest and name of every token so far.
    digests: HashMap<Digest, String>,
    /// The same for names in certificates.
    certificates: HashMap<String, String>,
    asks_for_certificates: bool,
    /// How many tokens without an end there are, so far.
    endless: usize,
    /// Rules that are only tried out, so far.
    pub(super) shadows: Vec<(Rule, Shadow)>,
}

impl Reader<'_> {
    fn role(&mut self, name: &str, mut table: Table<'_>) -> Role {
        let allow = self.patterns(&mut table, &["tools", "prompts", "resources"]);
        let deny = self.patterns(&mut table, &["deny", "deny_prompts", "deny_resources"]);
        restrictions::check_denied(&mut table, &allow, &deny);
        let when = conditions::of_role(&mut table, self, &allow);
        let shadow = self.shadow(&mut table);
        let is_bare = |all: &Patterns| {
            all.tools.is_empty() && all.prompts.is_empty() && all.resources.is_empty()
        };
        if shadow.is_some() && is_bare(&allow) && is_bare(&deny) {
            let message = "nothing is tried out: the role names no upstream".to_owned();
            let help = "say by its patterns what it is about";
            table.report().warning(Code::Nothing, table.span(), message, help);
        }
        let rule = Some(table.rule());
        table.finish();
        Role { name: name.to_owned(), allow, deny, when, shadow, rule }
    }

    /// Patterns of tools, prompts and resources, under these keys.
    pub(super) fn patterns(&mut self, table: &mut Table<'_>, keys: &[&'static str; 3]) -> Patterns {
        let [tools, prompts, resources] = keys;
        let mut read = |key, parse: Parse| {
            let texts = table.strings(key);
            if key == "tools" {
                texts.iter().for_each(|text| warn_of_everything(table, text));
            }
            let is_of_tools = key == "tools" || key == "deny";
            let patterns = texts.into_iter().filter_map(|text| {
                let pattern = self.pattern(table, key, text.clone(), parse)?;
                let kind = match key {
                    "deny" => Some(TargetKind::Tool),
                    "deny_prompts" => Some(TargetKind::Prompt),
                    "deny_resources" => Some(TargetKind::Resource),
                    _ => None,
                };
                if let Some(kind) = kind {
                    let restriction = Restriction::new(text.span.clone(), kind, &pattern);
                    self.restrictions.push(restriction);
                }
                if is_of_tools {
                    self.warn_of_nothing(table, text, &pattern);
                }
                Some(pattern)
            });
            patterns.collect::<Vec<_>>()
        };
        let patterns = Patterns {
            tools: read(tools, Pattern::of_names),
            prompts: read(prompts, Pattern::of_names),
            resources: read(resources, Pattern::of_uris),
        };
        self.note_tools(&patterns.tools);
        patterns
    }

    /// Patterns of tools that stand elsewhere.
    pub(super) fn tools(
        &mut self,
        table: &Table<'_>,
        key: &str,
        texts: Vec<At<&str>>,
        whose: Whose<'_>,
    ) -> Vec<Pattern> {
        let mut patterns = Vec::new();
        for text in texts {
            let Some(pattern) = self.pattern(table, key, text.clone(), Pattern::of_names) else {
                continue;
            };
            match whose {
                Whose::Role(allow) => restrictions::check_granted(table, &text, &pattern, allow),
                Whose::Everybody => {
                    let kind = TargetKind::Tool;
                    self.restrictions.push(Restriction::new(text.span.clone(), kind, &pattern));
                }
                Whose::Scope => {}
            }
            self.warn_of_nothing(table, text, &pattern);
            patterns.push(pattern);
        }
        self.note_tools(&patterns);
        patterns
    }

    /// The schemas of the arguments of tools that these patterns are about, as far as they are
    /// known.
    pub(super) fn schemas(&self, patterns: &[Pattern]) -> Vec<Declared<'_>> {
        let covered = self.definitions.iter().filter(|(upstream, tool, _)| {
            patterns.iter().any(|pattern| pattern.covers(upstream, tool))
        });
        let schemas = covered.filter_map(|(_, _, known)| known.members().get("inputSchema"));
        schemas.map(Declared::new).collect()
    }

    /// A grant of a tool that is not there looks right and does nothing.
    fn warn_of_nothing(&self, table: &Table<'_>, text: At<&str>, pattern: &Pattern) {
        const NAMED: usize = 12;
        let Some(known) = self.known else {
            return;
        };
        if known.iter().any(|(upstream, tool)| pattern.covers(upstream, tool)) {
            return;
        }
        let of = known.iter().filter(|(upstream, _)| pattern.covers_upstream(upstream));
        // What an upstream has made up must not be taken for a glob of more.
        let names = of.filter_map(|(upstream, tool)| {
            let name = format!("{upstream}/{tool}");
            let read = Pattern::of_names(&name).ok()?;
            (read.literal_name() == Some(tool)).then_some(name)
        });
        let names: Vec<String> = names.collect();
        let message = format!("`{}` matches no tool that is known", text.value);
        let near = did_you_mean(text.value, &names);
        let help = format!("{near}known: {}", pasted::offers(&names, NAMED));
        table.report().warning(Code::NoSuchTool, text.span, message, help);
    }

    /// Tools that are named literally may stand in metrics before an upstream has listed them.
    fn note_tools(&mut self, patterns: &[Pattern]) {
        for pattern in patterns {
            let Some(tool) = pattern.literal_name() else {
                continue;
            };
            let covered = self.upstreams.iter().filter(|u| pattern.covers_upstream(u));
            self.named_tools.extend(covered.map(|u| ((*u).to_owned(), tool.to_owned())));
        }
    }

    fn pattern(
        &self,
        table: &Table<'_>,
        key: &str,
        text: At<&str>,
        parse: Parse,
    ) -> Option<Pattern> {
        let rule = table.rule_at(key, &text.span);
        let pattern = match parse(text.value) {
            Ok(pattern) => pattern,
            Err(why) => {
                let message = format!("`{}` {why}", text.value);
                let help = "write it as \"upstream/name\", or \"upstream/uri\" for resources";
                table.report().error(Code::Pattern, text.span, message, help);
                return None;
            }
        };
        // Where none could be read, that has been said.
        if !self.upstreams.is_empty() && !self.upstreams.iter().any(|u| pattern.covers_upstream(u))
        {
            let upstream = text.value.split('/').next().unwrap_or_default();
            table.report().error(
                Code::Unknown,
                text.span.clone(),
                format!("`{}` names no upstream of this file", text.value),
                format!(
                    "{}defined here: {}",
                    did_you_mean(upstream, &self.upstreams),
                    self.upstreams.join(", ")
                ),
            );
        }
        self.doubt(table, key, &text);
        Some(pattern.at(rule))
    }

    fn doubt(&self, table: &Table<'_>, key: &str, text: &At<&str>) {
        let (_, name) = text.value.split_once('/').unwrap_or_default();
        // The names of prompts are texts for people.
        match key {
            "prompts" | "deny_prompts" => {}
            "resources" | "deny_resources" => doubts::check_uri_pattern(table.report(), text),
            // A literal name that is known is what it is.
            _ if self.definitions.iter().any(|(_, tool, _)| *tool == name) => {}
            key => doubts::check_name_pattern(table.report(), text, key != "deny"),
        }
    }

    /// The entries of the token tables of all files.
    fn tokens(&mut self, tables: Vec<(At<&str>, Table<'_>)>) -> Vec<TokenSpec> {
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
        if let Some(at) = &certificate {
            self.check_certificate(name.value, at, &table);
        }
        let is_needed = certificate.is_none();
        let digest = self.digest(&mut table, is_needed);
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
        if count > 1 || (count == 0 && is_needed) {
            let message =
                "a token needs one of `sha256`, `sha256_file`, `sha256_env`, or `san`".to_owned();
            table.report().error(
                Code::Conflict,
                table.span(),
                message,
                "make one with: doorward token new",
            );
        }
        let digest = given.into_iter().flatten().next();
        if let Some(at) = &digest {
            doubts::check_digest(table.report(), at);
        }
        digest
    }

    fn grants(&mut self, table: &mut Table<'_>) -> Grants {
        let roles = self.roles(table, "roles");
        Grants { roles, direct: self.patterns(table, &["tools", "prompts", "resources"]) }
    }

    /// The roles that an array names.
    pub(super) fn roles(&self, table: &mut Table<'_>, key: &'static str) -> Vec<Arc<Role>> {
        let names = table.strings(key);
        names.iter().filter_map(|name| self.role_named(table, name)).collect()
    }

    pub(super) fn role_named(&self, table: &Table<'_>, name: &At<&str>) -> Option<Arc<Role>> {
        let known = self.roles.get(name.value).cloned();
        if known.is_none() {
            let names: Vec<&str> = self.roles.keys().map(String::as_str).collect();
            table.report().error(
                Code::Unknown,
                name.span.clone(),
                format!("role `{}` does not exist", name.value),
                format!("{}defined here: {}", did_you_mean(name.value, &names), names.join(", ")),
            );
        }
        known
    }

    pub(super) fn check_upstream(&self, table: &Table<'_>, name: &At<&str>) {
        if !self.upstreams.is_empty() && !self.upstreams.contains(&name.value) {
            table.report().error(
                Code::Unknown,
                name.span.clone(),
                format!("upstream `{}` does not exist", name.value),
                format!(
                    "{}defined here: {}",
                    did_you_mean(name.value, &self.upstreams),
                    self.upstreams.join(", ")
                ),
            );
        }
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

/// What is granted today should not grow by itself tomorrow.
fn warn_of_everything(table: &Table<'_>, text: &At<&str>) {
    if let Some((upstream, "*" | "**")) = text.value.split_once('/') {
        let message = format!("`{}` grants every tool of {upstream}", text.value);
        let help = "name tools, or a family of them like \"upstream/get_*\"";
        table.report().warning(Code::Wildcard, text.span.clone(), message, help);
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
            let message = "`expires` is missing".to_owned();
            let help = "add a date like expires = 2027-06-30, or expires = \"never\"";
            table.report().error(Code::Missing, table.span(), message, help);
            None
        }
    }
}

pub(super) fn moment(table: &mut Table<'_>, key: &'static str) -> Option<UnixSeconds> {
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
