//! The codes of findings: stable words for scripts, with what there is to say about each.

macro_rules! codes {
    ($($name:ident, $code:literal, $title:literal, $text:literal;)*) => {
        /// What kind of fault a finding is about.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code itself; it never changes its meaning.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What it is about, in a line.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What it means, and what to do.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    Unreadable, "DW0001", "a file cannot be read",
        "The configuration, or a file that it names, is not there, may not be read, or is not\n\
         UTF-8 in its text or its name. Relative paths start at the folder of the configuration.";
    Syntax, "DW0002", "not TOML",
        "The text breaks the rules of TOML 1.0 at the place that is shown. See https://toml.io.";
    UnknownKey, "DW0003", "an unknown key",
        "A key that doorward does not know is an error, because a mistyped permission must not be\n\
         silently ignored. The keys that are known in the table are named.";
    WrongType, "DW0004", "a value of the wrong type",
        "The value is of another type than the key takes: a string where a list is meant, or a\n\
         number without its unit.";
    Missing, "DW0005", "something is missing",
        "A key or table that is needed is not there. What cannot be guessed safely has no default.";
    BadValue, "DW0006", "a value that cannot be used",
        "The value is of the right type, and not of the form that the key takes.";
    BadName, "DW0007", "not a name",
        "Names of upstreams, roles, tokens and issuers stand in metrics, records and patterns: 1 to\n\
         64 letters, digits, \"-\", \"_\" and \".\".";
    Unknown, "DW0010", "a name that is defined nowhere",
        "A role, upstream, token or issuer is named that this configuration does not define. A grant\n\
         for something that is not there would look right and do nothing.";
    Duplicate, "DW0011", "the same thing twice",
        "Two entries claim the same name, secret, certificate, path or issuer, so that it would be\n\
         left to chance which of them counts.";
    Pattern, "DW0012", "not a pattern",
        "Permissions are written upstream/name, resources upstream/uri. Each half may be a glob:\n\
         * ? [a-z] {a,b}; in a URI ** crosses slashes.";
    Conflict, "DW0013", "settings that do not go together",
        "Two settings contradict each other, or one means nothing without another.";
    Condition, "DW0014", "a condition that makes no sense",
        "A condition on arguments asks nothing, or cannot be evaluated. It names a value by a JSON\n\
         pointer like \"/priority\", and asks one or more of: equals, in, not_in, glob, regex, min,\n\
         max, max_length, max_items, url, absent, equals_user, equals_organization; optional beside\n\
         them.";
    Expectation, "DW0015", "a test of the policy fails",
        "An [[expect]] in the file says what must be allowed or denied, and the policy decides\n\
         otherwise. The rule that decided is named. Mend the rule, or the test. A rule that is only\n\
         tried out (mode = \"shadow\") denies nothing before its end.";
    Exposed, "DW0016", "a listener that others reach without protection",
        "Bearer tokens would go over the network in clear, or no request could be told from one for\n\
         another host. Add [server.tls], or plaintext = \"behind-proxy\", and public_url.";
    DemoToken, "DW0017", "a public token on a public address",
        "The demo tokens stand in the README. They are refused where anything in the file speaks of\n\
         somebody beyond this machine: listen, plaintext, public_url, allowed_hosts or\n\
         allowed_origins. One that is revoked or has expired may stay.";
    Shadow, "DW0018", "a trial without an end",
        "mode = \"shadow\" lets pass what a rule would refuse, and needs until = DATE, so that it\n\
         cannot be forgotten.";
    SharedIssuer, "DW0019", "rights for anybody in the world",
        "Anybody can have a token of this issuer that names us in aud: it issues them to every user,\n\
         repository or job that there is. What roles gives, it gives to all of them. Give rights by\n\
         roles_map, over a claim that names what is yours.";
    Unusable, "DW0020", "a certificate or key that cannot be used",
        "The file is there, and what would use it refuses it: certificate and key that do not belong\n\
         together, a kind of key that is not served, something in the place of an authority. Whoever\n\
         starts with it does not start.";
    Machine, "DW0021", "something that this machine does not let us do",
        "doorward run would not start here, as whoever runs check: an address that is not of this\n\
         machine, a port that needs more rights, or that somebody else than a doorward has, a folder for\n\
         records that is not there or takes none, roots for certificates that are not installed. For a configuration that is to run on\n\
         another machine: doorward check --elsewhere.";
    Void, "DW0022", "a restriction that restricts nothing",
        "What a rule restricts does not exist: its role grants a tool of nearly the same name and not this\n\
         one, or the approved schema of the tool takes no such argument, or one that is spelled in another\n\
         way. It would look like a protection and be none.";
    NoTokens, "DW0101", "nobody can call",
        "There are neither tokens nor issuers, so every call will be refused.";
    AdminExposed, "DW0102", "metrics for everybody",
        "The admin listener has no password. Let only the monitoring reach it.";
    Useless, "DW0103", "a setting without effect",
        "The setting is legal, and nothing will ever look at it.";
    Plaintext, "DW0104", "tokens in clear up to the proxy",
        "plaintext = \"behind-proxy\" trusts the network between the proxy that ends TLS and here.";
    Wildcard, "DW0105", "a grant of everything",
        "The pattern covers every tool of an upstream, also those that it will have tomorrow. Name\n\
         tools, or a family like tickets/get_*.";
    NeverExpires, "DW0106", "tokens that never expire",
        "A token without an end is good until somebody remembers to revoke it. Make new ones with\n\
         doorward token new NAME --expires 90d.";
    ExpiresSoon, "DW0107", "tokens that expire soon",
        "Their holders will be refused. doorward token new makes a successor; both work until then.";
    Unlocked, "DW0108", "an upstream without approved tools",
        "[lock] is in use, and its file has no tool of this upstream: nobody sees or calls one.\n\
         doorward lock asks the upstream, and writes down what it has.";
    NoSuchTool, "DW0109", "a pattern that matches no tool",
        "No tool that is known matches: of tools.lock where [lock] names it, or with --online of what\n\
         the upstreams say. The name may be mistyped, or the tool gone.";
    SharedClaim, "DW0110", "rights by what strangers can choose",
        "Anybody can have a token of this issuer, and this claim says what its holder likes: a branch\n\
         of the same name, for one. Take a claim that names an owner.";
    SameUsers, "DW0111", "one caller from two places",
        "Upstreams, sessions and tasks know a caller by user and organization, whoever proved them:\n\
         an issuer or the token table. Where two can say the same, one can act as the other.";
    LooseAudience, "DW0112", "an audience that is not ours alone",
        "Where audience is the id of a client or the issuer itself, tokens pass that were made to tell\n\
         that client who logged in (ID tokens), and not to call us.";
    Nothing, "DW0113", "a restriction or a grant that meets nothing",
        "It is legal, and as the file stands it changes nothing: what it denies or restricts is granted\n\
         to nobody, an argument is not in the approved schema, or the same is allowed by another way\n\
         without it. A mistyped name looks like this.";
    Certificate, "DW0114", "a certificate that is over, or soon is",
        "Outside the dates that stand in it, everybody who looks at it refuses it. The start is not\n\
         refused for that: who does not look goes on.";
    Placeholder, "DW0115", "a text that looks like a place for another",
        "doorward puts nothing into texts of its configuration: ${NAME}, {{ name }}, <name> and\n\
         CHANGE_ME are taken as they stand. Secrets come from files and variables by the keys that end\n\
         in _file and _env.";
    Loose, "DW0116", "a condition that holds for less, or for more, than it seems",
        "Servers read values in many ways: -1 as all, large numbers wrapped, words in any case or by\n\
         their number, texts parsed as JSON. What may be read as something that is not permitted is\n\
         refused; the finding says which other condition says it better.";
    Doubled, "DW0117", "a credential with more than the secret",
        "The text begins with what is put before it, like \"Bearer \", or is quoted or JSON. It would be\n\
         sent as it stands, and refused.";
    ScopeName, "DW0118", "a scope by one of its two names",
        "With Entra a scope has a short name in tokens and a long one to ask for, like\n\
         api://APPLICATION/tickets.write. The row of the scope has the short one, and with ask = \"…\" the\n\
         long one: clients are told the long one, tokens are compared with the short one.";
    FewDescriptors, "DW0119", "fewer file descriptors than connections",
        "Each connection takes a file descriptor, and each call and stream one more for its\n\
         upstream's. The process takes as many as it may (the hard limit), sets some aside for the\n\
         monitoring, and lets in as many connections as fit. Here, where check runs, these are fewer\n\
         than limits.connections: raise the limit (ulimit -Hn, LimitNOFILE= of systemd, --ulimit\n\
         nofile of containers), or lower limits.connections.";
    Unmatched, "DW0120", "a pattern that cannot match what it seems to",
        "Patterns are globs and no regular expressions: * is any text, and . ^ $ | ( ) are themselves.\n\
         A glob reaches names of letters, digits, \"_\", \".\" and \"-\" only; in a URI * stays within\n\
         its part, and ** crosses slashes. Groups, scopes, audiences and names of people and\n\
         certificates are no patterns: they are compared as they stand.";
    NoPath, "DW0121", "an upstream without a path",
        "Nearly every MCP server answers under a path, mostly /mcp, and with 404 elsewhere.";
    Over, "DW0122", "something whose time is over",
        "A token that has expired lets nobody in, and a trial that has ended is a rule in force. If that\n\
         is meant, remove the entry, or say `revoked` to be told of its use.";
    NotAccepted, "DW0123", "an acceptance of what is not there",
        "[check] accept says that a warning is known, and there is no such warning. Remove it, so that it\n\
         does not hide one that comes later.";
    KeyGap, "DW0124", "keys of an issuer that end before others are there",
        "Keys are fetched every `refresh`, and used for `max_stale` after that. Where max_stale is not\n\
         the longer one, there are none in between: /readyz says so, and a call with a JWT waits for a\n\
         fetch or is refused. It is meant for the time while the issuer cannot be reached.";
    ClaimPath, "DW0125", "a claim by a path that is none",
        "A claim is named as it stands, or by a JSON pointer (RFC 6901), which begins with a slash:\n\
         \"groups\", \"https://example.com/roles\", \"/realm_access/roles\". Where a name is written like a\n\
         path of another syntax (realm_access.roles), no token has a claim of that name, and so it gives\n\
         nothing, or nobody is let in.";
    Lookalike, "DW0126", "a character that looks like another, or like nothing",
        "Names, patterns and values are compared character by character. A letter of another script\n\
         that looks like a Latin one, a wide one, or a character without width is hardly meant: what it\n\
         stands in matches something else than it seems to. The finding says which one it is.";
    IdleIssuer, "DW0127", "an issuer that gives nobody anything",
        "There are neither roles nor scopes for its callers, no key in the file is for one of the\n\
         algorithms, or the URL of the keys is that of metadata: whoever comes with its tokens gets\n\
         nothing.";
    IssuerSlash, "DW0128", "an issuer with another end than in its tokens",
        "`iss` is compared to the letter. Auth0 writes it with a slash at its end; Cognito, Entra\n\
         (v2.0), Keycloak and Okta without. The metadata of the issuer say it, and every token does.";
    Never, "DW0129", "something that never comes about",
        "Conditions on one value of a tool that no call fulfils together, or a certificate in the place\n\
         of an authority that nothing can chain to: everybody is refused, whatever they send.";
}

impl Code {
    /// The code with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(name))
    }

    /// True where a finding with it is a warning.
    #[must_use]
    pub fn is_warning(self) -> bool {
        self.as_str() >= "DW0100"
    }

    /// True where it depends on the time, or on what is asked, whether there is a finding.
    #[must_use]
    pub fn comes_and_goes(self) -> bool {
        matches!(
            self,
            Self::ExpiresSoon
                | Self::Certificate
                | Self::NoSuchTool
                | Self::Over
                | Self::FewDescriptors
        )
    }

    /// Whether it is for `check` alone, and no word in the log at every start.
    #[must_use]
    pub fn is_advice(self) -> bool {
        matches!(
            self,
            Self::Plaintext
                | Self::Wildcard
                | Self::NeverExpires
                | Self::ExpiresSoon
                | Self::NoSuchTool
                | Self::SameUsers
                | Self::LooseAudience
                | Self::Loose
                | Self::FewDescriptors
                | Self::Nothing
                | Self::Placeholder
                | Self::ScopeName
                | Self::Unmatched
                | Self::NoPath
                | Self::Over
                | Self::NotAccepted
                | Self::ClaimPath
                | Self::IssuerSlash
        )
    }
}
