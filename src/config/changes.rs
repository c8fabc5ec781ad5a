//! What an edit changes besides the rights of callers: where requests, identities and records go,
//! and how much of what is taken and kept.
//!
//! Everything is taken apart without `..`: a key that is new does not compile until it is said here
//! whether it lets anybody have more.

use std::fmt::Display;
use std::time::Duration;

use super::audit::{AuditSpec, AuditTo, OnFailure};
use super::identity::Assertion;
use super::issuers::{IssuerKeys, IssuerSpec};
use super::settings::{LogFormat, Settings, Shutdown, Widening};
use super::tls::{Clients, Tls};
use super::upstreams::{Target, UpstreamSpec};
use super::values;
use crate::core::argument::shown::Wanted;
use crate::core::harmless::visible;
use crate::core::limits::Limits;
use crate::core::policy::Tasks;

/// A setting that is not what it was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Changed {
    /// Its key, and what has become of it.
    pub what: String,
    /// Whether something goes elsewhere, or more is let in or shown.
    pub widens: bool,
}

impl Changed {
    /// For people: with `+` where it widens.
    #[must_use]
    pub fn line(&self) -> String {
        visible(&format!("{} {}", if self.widens { '+' } else { '-' }, self.what))
    }
}

/// What differs between the settings of two configurations and the places of their issuers' keys.
#[must_use]
pub fn changed(old: (&Settings, &[IssuerSpec]), new: (&Settings, &[IssuerSpec])) -> Vec<Changed> {
    let mut all = All::default();
    all.settings(old.0, new.0);
    all.issuers(old.1, new.1);
    all.0
}

#[derive(Default)]
struct All(Vec<Changed>);

/// Nothing of it lets anybody have more.
fn no<T>(_: &T, _: &T) -> bool {
    false
}

/// Whatever it is now, it goes elsewhere.
fn yes<T>(_: &T, _: &T) -> bool {
    true
}

/// More is more.
fn more<T: PartialOrd>(old: &T, new: &T) -> bool {
    new > old
}

fn time(time: &Duration) -> String {
    humantime::format_duration(*time).to_string()
}

fn text<T: Display>(value: &T) -> String {
    value.to_string()
}

fn optional<T>(value: &Option<T>, show: impl Fn(&T) -> String) -> String {
    value.as_ref().map_or_else(|| "absent".to_owned(), show)
}

impl All {
    fn add(&mut self, what: String, widens: bool) {
        self.0.push(Changed { what, widens });
    }

    fn value<T: PartialEq>(
        &mut self,
        key: &str,
        (old, new): (&T, &T),
        show: impl Fn(&T) -> String,
        widens: impl Fn(&T, &T) -> bool,
    ) {
        if old != new {
            self.add(format!("{key}: is {} and was {}", show(new), show(old)), widens(old, new));
        }
    }

    /// A list whose order says nothing: more in it is more.
    fn set<T: PartialEq + Display>(&mut self, key: &str, old: &[T], new: &[T]) {
        for value in new.iter().filter(|value| !old.contains(value)) {
            self.add(format!("{key}: {value} is new"), true);
        }
        for value in old.iter().filter(|value| !new.contains(value)) {
            self.add(format!("{key}: {value} is gone"), false);
        }
    }

    fn settings(&mut self, old: &Settings, new: &Settings) {
        let Settings {
            listen,
            public_url,
            allowed_hosts,
            allowed_origins,
            is_behind_proxy,
            threads,
            seal,
            tls,
            shutdown,
            admin_listen,
            user_header,
            organization_header,
            assertion,
            upstreams,
            limits,
            log_level,
            log_format,
            widening,
            expectations,
            audit,
        } = old;
        self.set("server.listen", listen, &new.listen);
        let url = |url: &Option<http::Uri>| optional(url, text);
        self.value("server.public_url", (public_url, &new.public_url), url, |_, new| new.is_some());
        self.set("server.allowed_hosts", allowed_hosts, &new.allowed_hosts);
        self.set("server.allowed_origins", allowed_origins, &new.allowed_origins);
        let proxy = |is: &bool| (if *is { "behind-proxy" } else { "absent" }).to_owned();
        let plain = (is_behind_proxy, &new.is_behind_proxy);
        self.value("server.plaintext", plain, proxy, |_, new| *new);
        self.value("server.threads", (threads, &new.threads), text, no);
        match (seal, &new.seal) {
            (Some(old), Some(new)) if old.is_same(new) => {}
            (None, None) => {}
            (_, new) => self.add("server.session_key_file: is another".to_owned(), new.is_some()),
        }
        self.tls(tls.as_ref(), new.tls.as_ref());
        let Shutdown { lame_duck, drain } = shutdown;
        self.value("server.shutdown.lame_duck", (lame_duck, &new.shutdown.lame_duck), time, no);
        self.value("server.shutdown.drain", (drain, &new.shutdown.drain), time, no);
        self.value("admin.listen", (admin_listen, &new.admin_listen), text, yes);
        self.value("identity.user_header", (user_header, &new.user_header), text, yes);
        let organization = (organization_header, &new.organization_header);
        self.value("identity.organization_header", organization, text, yes);
        self.assertion(assertion.as_ref(), new.assertion.as_ref());
        self.upstreams(upstreams, &new.upstreams);
        self.limits(limits, &new.limits);
        self.value("log.level", (log_level, &new.log_level), text, no);
        let format = |format: &LogFormat| format!("{format:?}").to_lowercase();
        self.value("log.format", (log_format, &new.log_format), format, no);
        if (*widening, new.widening) == (Widening::Ack, Widening::Apply) {
            self.add("reload.widening: nobody would be asked any more".to_owned(), true);
        } else if *widening != new.widening {
            self.add("reload.widening: is ack and was apply".to_owned(), false);
        }
        self.audit(audit, &new.audit);
        self.expectations(expectations, &new.expectations);
    }

    /// They permit nothing, and who removes one removes what would have refused another edit.
    fn expectations(&mut self, old: &[String], new: &[String]) {
        for (some, others, news) in [(new, old, "is new"), (old, new, "is gone")] {
            for test in some.iter().filter(|test| !others.contains(test)) {
                self.add(format!("expect: {test} {news}"), false);
            }
        }
    }

    fn tls(&mut self, old: Option<&Tls>, new: Option<&Tls>) {
        let (old, new) = match (old, new) {
            (None, None) => return,
            (Some(_), None) => return self.add("server.tls: is gone".to_owned(), true),
            (None, Some(_)) => return self.add("server.tls: is new".to_owned(), false),
            (Some(old), Some(new)) => (old, new),
        };
        let Tls { chain, key, clients } = old;
        if *chain != new.chain {
            self.add("server.tls.cert_file: holds another certificate".to_owned(), false);
        }
        if *key != new.key {
            self.add("server.tls.key_file: holds another key".to_owned(), false);
        }
        let demand = |clients: &Option<Clients>| {
            // Which roots they are is said with what proofs are checked with.
            clients.as_ref().map(|Clients { roots: _, is_required }| *is_required)
        };
        let show = |demand: &Option<bool>| match demand {
            None => "absent".to_owned(),
            Some(false) => "optional".to_owned(),
            Some(true) => "required".to_owned(),
        };
        let lowers = |old: &Option<bool>, _: &Option<bool>| *old == Some(true);
        let pair = (&demand(clients), &demand(&new.clients));
        self.value("server.tls.client_auth", pair, show, lowers);
    }

    fn assertion(&mut self, old: Option<&Assertion>, new: Option<&Assertion>) {
        let (old, new) = match (old, new) {
            (None, None) => return,
            (Some(_), None) => return self.add("identity.assertion: is gone".to_owned(), false),
            (None, Some(_)) => return self.add("identity.assertion: is new".to_owned(), false),
            (Some(old), Some(new)) => (old, new),
        };
        let Assertion { header, key, retired, lifetime } = old;
        self.value("identity.assertion.header", (header, &new.header), text, yes);
        if key.public() != new.key.public() {
            self.add("identity.assertion.key_file: holds another key".to_owned(), true);
        }
        let has = |all: &Assertion, key| all.retired.iter().any(|other| other.public() == key);
        if new.retired.iter().any(|key| !has(old, key.public())) {
            self.add("identity.assertion: a retired key is new".to_owned(), true);
        }
        if retired.iter().any(|key| !has(new, key.public())) {
            self.add("identity.assertion: a retired key is gone".to_owned(), false);
        }
        let seconds = |seconds: &i64| format!("{seconds}s");
        self.value("identity.assertion.ttl", (lifetime, &new.lifetime), seconds, more);
    }

    fn upstreams(&mut self, old: &[UpstreamSpec], new: &[UpstreamSpec]) {
        for upstream in old {
            match new.iter().find(|other| other.name == upstream.name) {
                None => self.add(format!("upstreams.{}: is gone", upstream.name), false),
                Some(other) => self.upstream(upstream, other),
            }
        }
        for UpstreamSpec { name, .. } in new {
            if old.iter().all(|other| other.name != *name) {
                // Whom it is open to is said with the rights.
                self.add(format!("upstreams.{name}: is new"), false);
            }
        }
    }

    fn upstream(&mut self, old: &UpstreamSpec, new: &UpstreamSpec) {
        let UpstreamSpec {
            span: _,
            name,
            path,
            target,
            credential,
            ca_file,
            client_cert,
            tls_digest,
            connect_timeout,
            call_timeout,
            stream_idle,
            stream_max,
            stream_keep_alive,
            tasks,
        } = old;
        let key = |key: &str| format!("upstreams.{name}.{key}");
        self.value(&key("path"), (path, &new.path), text, yes);
        let elsewhere = |old: &Target, new: &Target| !is_same_place(old, new);
        self.value(&key("url"), (target, &new.target), place, elsewhere);
        // Never the value.
        let (was, is) = (credential.as_ref(), new.credential.as_ref());
        match (was, is) {
            (None, Some(_)) => self.add(format!("{}: is new", key("credential")), true),
            (Some(_), None) => self.add(format!("{}: is gone", key("credential")), false),
            (Some(was), Some(is)) if was != is => {
                self.add(format!("{}: is another", key("credential")), true);
            }
            _ => {}
        }
        let has = |spec: (bool, bool)| spec;
        let was = has((ca_file.is_some(), client_cert.is_some()));
        let is = has((new.ca_file.is_some(), new.client_cert.is_some()));
        if was != is || *tls_digest != new.tls_digest {
            let what = key("ca_file, client_cert_file, client_key_file");
            self.add(format!("{what}: hold something else"), true);
        }
        let timeout = (connect_timeout, &new.connect_timeout);
        self.value(&key("connect_timeout"), timeout, time, more);
        self.value(&key("call_timeout"), (call_timeout, &new.call_timeout), time, more);
        self.value(&key("stream_idle"), (stream_idle, &new.stream_idle), time, more);
        self.value(&key("stream_max"), (stream_max, &new.stream_max), time, more);
        let often = |every: &Option<Duration>| optional(every, time);
        let pair = (stream_keep_alive, &new.stream_keep_alive);
        self.value(&key("stream_keep_alive"), pair, often, no);
        // The other way round it is said with the rights.
        if *tasks == Tasks::Sealed && new.tasks == Tasks::Off {
            self.add(format!("{}: is off and was sealed", key("tasks")), false);
        }
    }

    /// What is refused at a lower one passes at a higher one.
    fn limits(&mut self, old: &Limits, new: &Limits) {
        let Limits {
            request_body,
            listing,
            buffers,
            list_ttl,
            json_depth,
            headers,
            connections,
            in_flight,
            streams,
            head_timeout,
            body_timeout,
            write_timeout,
        } = old;
        for (key, old, new) in [
            ("request_body", request_body, new.request_body),
            ("listing", listing, new.listing),
            ("buffers", buffers, new.buffers),
            ("json_depth", json_depth, new.json_depth),
            ("headers", headers, new.headers),
            ("connections", connections, new.connections),
            ("in_flight", in_flight, new.in_flight),
            ("streams", streams, new.streams),
        ] {
            self.value(&format!("limits.{key}"), (old, &new), text, more);
        }
        for (key, old, new) in [
            ("list_ttl", list_ttl, new.list_ttl),
            ("head_timeout", head_timeout, new.head_timeout),
            ("body_timeout", body_timeout, new.body_timeout),
            ("write_timeout", write_timeout, new.write_timeout),
        ] {
            self.value(&format!("limits.{key}"), (old, &new), time, more);
        }
    }

    fn audit(&mut self, old: &AuditSpec, new: &AuditSpec) {
        let AuditSpec { to, on_failure, arguments } = old;
        let place = |to: &AuditTo| match to {
            AuditTo::File(path) => path.display().to_string(),
            AuditTo::Off => "off".to_owned(),
            AuditTo::Stdout => "stdout".to_owned(),
        };
        self.value("audit.to", (to, &new.to), place, yes);
        let failure = |what: &OnFailure| format!("{what:?}").to_lowercase();
        let unrecorded = |_: &OnFailure, new: &OnFailure| *new == OnFailure::Count;
        self.value("audit.on_failure", (on_failure, &new.on_failure), failure, unrecorded);
        let name = |wanted: &&str| (*wanted).to_owned();
        let (was, is) = (shown(arguments), shown(&new.arguments));
        let fuller = |_: &&str, _: &&str| is.0 > was.0;
        self.value("audit.arguments", (&was.1, &is.1), name, fuller);
        if let (Wanted::Full { redact: old }, Wanted::Full { redact: new }) =
            (arguments, &new.arguments)
        {
            // More of these is less that is shown.
            for part in old.iter().filter(|part| !new.contains(part)) {
                self.add(format!("audit.redact: {part} is gone"), true);
            }
            for part in new.iter().filter(|part| !old.contains(part)) {
                self.add(format!("audit.redact: {part} is new"), false);
            }
        }
    }

    /// Who they are, and which keys they have, is said with the rights.
    fn issuers(&mut self, old: &[IssuerSpec], new: &[IssuerSpec]) {
        for IssuerSpec { issuer, keys, trust: _, upstreams: _ } in old {
            let now = new.iter().find(|other| other.issuer.name == issuer.name);
            let Some(now) = now else { continue };
            let key = |key: &str| format!("issuers.{}.{key}", issuer.name);
            let (was, is) = (&issuer.initial_scopes, &now.issuer.initial_scopes);
            if was != is {
                self.add(format!("{}: are others", key("initial_scopes")), false);
            }
            let (
                IssuerKeys::Url { url: _, ca_file: _, refresh, max_stale },
                IssuerKeys::Url { url: _, ca_file: _, refresh: later, max_stale: staler },
            ) = (keys, &now.keys)
            else {
                continue;
            };
            self.value(&key("refresh"), (refresh, later), time, more);
            self.value(&key("max_stale"), (max_stale, staler), time, more);
        }
    }
}

/// How much of arguments is recorded, in order, and the word for it.
fn shown(wanted: &Wanted) -> (u8, &'static str) {
    match wanted {
        Wanted::None => (0, "none"),
        Wanted::Keys => (1, "keys"),
        Wanted::Full { .. } => (2, "full"),
    }
}

/// Whether both are one place, in whatever words.
fn is_same_place(old: &Target, new: &Target) -> bool {
    match (old, new) {
        (Target::Url(old), Target::Url(new)) => values::place(old) == values::place(new),
        _ => old == new,
    }
}

/// A place without its query, which can hold a secret.
fn place(target: &Target) -> String {
    match target {
        Target::BuiltinTickets => "the built-in server".to_owned(),
        Target::Url(url) => url.to_string().split('?').next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
#[path = "changes_properties.rs"]
mod properties;
#[cfg(test)]
#[path = "changes_tests.rs"]
mod tests;
