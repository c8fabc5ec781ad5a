//! Roles, tokens and routes: the part of the file that decides.

mod patterns;
mod tokens;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

pub(super) use self::tokens::moment;
use super::code::Code;
use super::conditions;
use super::contradictions::Asked;
use super::files::Files;
use super::issuers::{self, IssuerSpec};
use super::lock::Approved;
use super::read::{At, Table, did_you_mean};
use super::restrictions::{self, Restriction};
use super::settings::Settings;
use super::upstreams::UpstreamSpec;
use crate::core::access::Tools;
use crate::core::argument::{Shadow, When};
use crate::core::permission::{Patterns, Role};
use crate::core::pin::{Definition, Pins};
use crate::core::policy::{Policy, Route, Trust};
use crate::core::principal::Digest;
use crate::core::protected::Protected;
use crate::core::rule::Rule;
use crate::core::token::{TokenTable, UnixSeconds};

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
    let upstreams = settings.upstreams.iter().map(|upstream| upstream.name.as_str());
    let mut reader = Reader {
        files,
        known,
        upstreams: upstreams.chain(unread(file, "upstreams")).collect(),
        exposed,
        now,
        roles: BTreeMap::new(),
        named_tools: Tools::new(),
        digests: HashMap::new(),
        certificates: HashMap::new(),
        shadows: Vec::new(),
        asked: Asked::default(),
        restrictions: Vec::new(),
        ways: BTreeSet::new(),
        definitions: definitions(pins, told),
        endless: 0,
        asks_for_certificates: settings.tls.as_ref().is_some_and(|tls| tls.clients.is_some()),
    };
    let facts = conditions::of_tools(file, &mut reader);
    for name in unread(file, "roles") {
        reader.roles.insert(name.to_owned(), Arc::new(Role::named(name)));
    }
    for (name, table) in file.named_tables("roles") {
        let role = reader.role(name.value, table);
        reader.roles.insert(name.value.to_owned(), Arc::new(role));
    }
    let mut tables = file.named_tables("tokens");
    let own = tables.len();
    tables.extend(included.iter_mut().flat_map(|source| source.named_tables("tokens")));
    let has_included = tables.len() > own;
    let specs = reader.tokens(tables);
    let mut server = file.table("server");
    let has_url = server.value("public_url").is_some() || server.has_like("public_url");
    let issuers = issuers::read(file, &mut reader, has_url, &specs, files);
    if !has_included && !is_partial {
        let told = ("there are no tokens: every call will be refused", "add [tokens.NAME]");
        file.lack(&["tokens", "issuers"], Code::NoTokens, 0..0, told);
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

/// Names of what has been told to be no table, and is there nevertheless.
fn unread<'t>(file: &mut Table<'t>, key: &'static str) -> Vec<&'t str> {
    let entries = file.entries(key).into_iter();
    entries.filter(|(_, value)| !value.get_ref().is_table()).map(|(name, _)| name.value).collect()
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
    let keys = issuers.iter();
    let keys = keys.map(|spec| (format!("keys of {}", spec.issuer.name), spec.trust.clone()));
    let clients = settings.tls.as_ref().and_then(|tls| tls.clients.as_ref());
    let clients = clients.map(|clients| {
        let roots = clients.roots.iter().map(|root| Sha256::digest(root).into());
        ("authorities of client certificates".to_owned(), roots.collect())
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
    /// Conditions, so far.
    pub(super) asked: Asked,
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
}
