//! Where the identity and the rights of callers with a JWT stand in its claims.

use serde_json::{Value, json};

use crate::support::issuer::{ISSUER, PUBLIC, Signer, claims, claims_with, with, with_keys};
use crate::support::{Setup, Upstream};

#[test]
fn one_text_in_an_array_is_that_text_and_several_are_refused_by_name() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let first = "user_claim = \"/act/0/name\"";
    let gateway = with_keys(&upstream, &[signer.jwk()], first).start();
    let signed = |act: Value, org: Value| {
        with(&signer.sign(&claims_with(&json!({ "act": act, "org": org }))))
    };
    for (act, org) in [
        (json!([{"name": "carol"}]), json!(["acme"])),
        (json!([{"name": ["carol"]}, {"name": "root"}]), json!("acme")),
        (json!({"0": {"name": "carol"}}), json!(["acme"])),
    ] {
        assert_eq!(gateway.ask(&signed(act, org)).status, 200);
        let requests = upstream.requests();
        let request = requests.last().unwrap();
        assert_eq!(request.values("x-user-id"), ["carol"]);
        assert_eq!(request.values("x-organization-id"), ["acme"]);
    }
    let mut said_of = Vec::new();
    for (act, org, said) in [
        (json!([{"name": "carol"}]), json!(["acme", "globex"]), "org: expected one text"),
        (json!([{"name": "carol"}]), json!([]), "org: expected one text"),
        (json!([{"name": ["carol", "root"]}]), json!("acme"), "/act/0/name: expected one text"),
        (json!([]), json!("acme"), "/act/0/name: expected one text"),
        (json!(["carol"]), json!("acme"), "/act/0/name: expected one text"),
    ] {
        let answer = gateway.ask(&signed(act, org));
        assert_eq!(answer.status, 401, "{said}");
        said_of.push((answer.header("x-request-id").unwrap().to_owned(), said));
    }
    let records = gateway.audit(3 + said_of.len());
    for (id, said) in &said_of {
        let record = records.iter().find(|record| record["request_id"] == **id).unwrap();
        let detail = record["detail"].as_str().unwrap();
        assert!(detail.starts_with(said), "{detail}");
    }
    assert_eq!(upstream.requests().len(), 3, "none of these reached it");
}

#[test]
fn the_members_of_an_object_are_roles_by_their_names() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let gateway = with_keys(&upstream, &[signer.jwk()], "").start();
    let calls = |groups: &Value| {
        let answer = gateway.ask(&with(&signer.sign(&claims_with(&json!({ "groups": groups })))));
        assert_eq!(answer.status, 200, "{groups}");
        !answer.text().contains("Unknown tool")
    };
    let mut passed = 0;
    for (value, is_given) in [
        (json!({"2817": "acme.zitadel.cloud"}), true),
        (json!({"2817": null}), true),
        (json!(["tickets"]), true),
        (json!(true), true),
        (json!(false), false),
        (json!(null), false),
        (json!({}), false),
        (json!([]), false),
        (json!(0), false),
        (json!(1), false),
        (json!("false"), false),
        (json!("true"), false),
    ] {
        assert_eq!(calls(&json!({ "mcp-readers": value, "other": true })), is_given, "{value}");
        // The names are of the object itself, and not of what lies in it.
        assert!(!calls(&json!({ "other": { "mcp-readers": value } })), "{value}");
        passed += usize::from(is_given);
        assert_eq!(upstream.requests().len(), passed, "{value}");
    }
}

#[test]
fn a_role_of_zitadel_counts_in_the_organization_that_gave_it() {
    const ROLES: &str = "urn:zitadel:iam:org:project:roles";
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let start = |owner: &str| {
        let claim = format!("urn:zitadel:iam:user:resourceowner:{owner}");
        let text = format!("organization_claim = \"{claim}\"\nroles_claim = \"{ROLES}\"");
        let issuer = format!(
            "[issuers.z]\nissuer = \"{ISSUER}\"\njwks_file = \"jwks.json\"\n{text}\n\
             roles_map = {{ agent = \"reader\" }}"
        );
        let setup = Setup::new(&upstream).server(&format!("public_url = \"{PUBLIC}\""));
        setup
            .more(&issuer)
            .file("jwks.json", &json!({ "keys": [signer.jwk()] }).to_string())
            .start()
    };
    let mut passed = 0;
    for (owner, organization) in [("id", "9"), ("primary_domain", "acme.example")] {
        let gateway = start(owner);
        for (roles, is_given) in [
            (json!({"agent": {"9": "acme.example"}}), true),
            (json!({"agent": {"10": "globex.example", "9": "acme.example"}}), true),
            (json!({"agent": {"10": "globex.example"}}), false),
            (json!({"agent": true}), false),
            (json!({"agent": ["9"]}), false),
        ] {
            let claim = format!("urn:zitadel:iam:user:resourceowner:{owner}");
            let token = signer.sign(&claims_with(&json!({ claim: organization, ROLES: roles })));
            let answer = gateway.ask(&with(&token));
            assert_eq!(!answer.text().contains("Unknown tool"), is_given, "{owner}: {roles}");
            passed += usize::from(is_given);
            assert_eq!(upstream.requests().len(), passed, "{owner}: {roles}");
        }
    }
}

#[test]
fn a_claim_for_roles_that_gives_none_is_named_with_what_it_holds() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let gateway = with_keys(&upstream, &[signer.jwk()], "").start();
    let rows = [
        (json!({"groups": ["staff", "mcp-reader"]}), "found [\"staff\",\"mcp-reader\"]"),
        (json!({"groups": null}), "found nothing"),
        (json!({"groups": 7}), "found 7"),
        (
            json!({"groups": null, "_claim_names": {"groups": "src1"}}),
            "found nothing, and _claim_names: they are elsewhere",
        ),
    ];
    for (changes, _) in &rows {
        let answer = gateway.ask(&with(&signer.sign(&claims_with(changes))));
        assert!(answer.text().contains("Unknown tool"), "{changes}");
        assert!(!answer.text().contains("groups"), "the caller learns nothing of it");
    }
    upstream.assert_untouched("no role");
    let records = gateway.audit(rows.len());
    let details: Vec<&str> = records.iter().filter_map(|r| r["detail"].as_str()).collect();
    for (changes, said) in &rows {
        let expected = format!("groups: expected \"mcp-readers\", {said}");
        assert!(details.contains(&expected.as_str()), "{changes}: {details:?}");
    }
    let told = gateway.events("auth.no_roles");
    assert_eq!(told.len(), 1, "{told:?}");
    // With a role all is well, and nothing is said.
    assert_eq!(gateway.ask(&with(&signer.sign(&claims()))).status, 200);
    let all = gateway.audit(rows.len() + 1);
    let good = all.iter().find(|record| record["decision"] == "allow").unwrap();
    assert_eq!(good["detail"], Value::Null);
}
