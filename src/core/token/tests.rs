use sha2::{Digest as _, Sha256};

use super::*;

fn spec(secret: &str, expires: Option<i64>, revoked: Option<i64>) -> TokenSpec {
    TokenSpec {
        name: "entry".into(),
        digest: Some(Sha256::digest(secret).into()),
        certificate: None,
        user: UserId::parse("alice").unwrap(),
        organization: OrganizationId::parse("dev-org").unwrap(),
        grants: Grants::default(),
        expires,
        revoked,
    }
}

fn identify(table: &TokenTable, secret: &str, now: i64) -> Result<String, AuthFailure> {
    let header = format!("Bearer {secret}");
    let token = PresentedToken::from_authorization(&header).unwrap();
    table.identify(token, now).map(|p| p.user().as_str().to_owned()).map_err(|u| u.failure)
}

#[test]
fn only_the_exact_token_identifies() {
    let table = TokenTable::new([spec("dev-alice-token", None, None)]);
    assert_eq!(identify(&table, "dev-alice-token", 0), Ok("alice".into()));
    let digest = Sha256::digest("dev-alice-token");
    let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    for wrong in ["dev-alice-toke", "dev-alice-token1", "DEV-ALICE-TOKEN", hex.as_str()] {
        assert_eq!(identify(&table, wrong, 0), Err(AuthFailure::Unknown), "{wrong}");
    }
    assert_eq!(identify(&TokenTable::default(), "a", 0), Err(AuthFailure::Unknown));
}

#[test]
fn expiry_and_revocation_take_effect_at_their_second() {
    let table = TokenTable::new([spec("a", Some(100), None), spec("b", Some(100), Some(50))]);
    assert_eq!(identify(&table, "a", 99), Ok("alice".into()));
    assert_eq!(identify(&table, "a", 100), Err(AuthFailure::Expired));
    assert_eq!(identify(&table, "b", 49), Ok("alice".into()));
    assert_eq!(identify(&table, "b", 50), Err(AuthFailure::Revoked));
    assert_eq!(identify(&table, "b", 200), Err(AuthFailure::Revoked));
    let census = Census { expired: 1, revoked: 1, ..Census::default() };
    assert_eq!(table.census(200), census);
}

#[test]
fn tokens_are_counted_by_their_end_and_by_their_use() {
    let specs = || {
        [("a", Some(86_500)), ("b", Some(86_401 * 7)), ("c", None)]
            .map(|(secret, expires)| spec(secret, expires, None))
    };
    let table = TokenTable::new(specs());
    assert_eq!(table.census(100).within, [[1, 0], [2, 0], [2, 0], [2, 0]]);
    identify(&table, "a", 100).unwrap();
    identify(&table, "c", 100).unwrap();
    identify(&table, "c", 50).unwrap();
    assert_eq!(table.census(100).within, [[1, 2], [2, 2], [2, 2], [2, 2]]);
    let later = TokenTable::new(specs()).replacing(&table);
    assert_eq!(later.census(86_401 + 100).within, [[0, 0], [1, 1], [1, 1], [1, 1]]);
}

#[test]
fn a_token_that_was_taken_out_counts_as_revoked_until_it_is_back() {
    let both = TokenTable::new([spec("a", None, None), spec("b", None, None)]);
    let one = TokenTable::new([spec("b", None, None)]).replacing(&both);
    assert_eq!(identify(&one, "a", 0), Err(AuthFailure::Revoked));
    let still = TokenTable::new([spec("b", None, None)]).replacing(&one);
    assert_eq!(identify(&still, "a", 0), Err(AuthFailure::Revoked));
    assert_eq!(identify(&still, "c", 0), Err(AuthFailure::Unknown));
    let back = TokenTable::new([spec("a", None, None)]).replacing(&still);
    assert_eq!(identify(&back, "a", 0), Ok("alice".into()));
    assert_eq!(identify(&back, "b", 0), Err(AuthFailure::Revoked));
}

#[test]
fn a_later_table_knows_what_has_become_of_a_principal() {
    let token = PresentedToken::from_authorization("Bearer a").unwrap();
    let before = TokenTable::new([spec("a", None, None)]);
    let held = before.identify(token, 0).unwrap();
    let standing = |spec| TokenTable::new([spec]).standing(&held, 60);
    assert_eq!(standing(spec("a", None, None)), Standing::Same);
    assert_eq!(standing(spec("a", Some(100), None)), Standing::Changed);
    assert_eq!(standing(spec("a", Some(50), None)), Standing::Lost(AuthFailure::Expired));
    assert_eq!(standing(spec("a", None, Some(50))), Standing::Lost(AuthFailure::Revoked));
    assert_eq!(standing(spec("b", None, None)), Standing::Lost(AuthFailure::Revoked));
    let mut granted = spec("a", None, None);
    granted.grants.roles.push(Arc::default());
    assert_eq!(standing(granted), Standing::Changed);
    let moved = TokenSpec { user: UserId::parse("bob").unwrap(), ..spec("a", None, None) };
    assert_eq!(standing(moved), Standing::Changed);
}

#[test]
fn a_certificate_proves_nobody_beyond_its_end_and_stands_until_then() {
    let names = ["dns:a".into()];
    let table = |expires, user: &str| {
        let spec = TokenSpec {
            digest: None,
            certificate: Some("dns:a".into()),
            user: UserId::parse(user).unwrap(),
            ..spec("a", expires, None)
        };
        TokenTable::new([spec])
    };
    for (expires, until, end) in [(None, 50, 50), (Some(100), 50, 50), (Some(20), 50, 20)] {
        let first = table(expires, "alice");
        let held = first.identify_certificate(&names, until, 10).unwrap();
        assert_eq!(held.expires(), Some(end), "{expires:?} {until}");
        let later = table(expires, "alice").replacing(&first);
        assert_eq!(later.standing(&held, 10), Standing::Same, "{expires:?} {until}");
        let other = table(expires, "bob").replacing(&first);
        assert_eq!(other.standing(&held, 10), Standing::Changed, "{expires:?} {until}");
        let again = later.identify_certificate(&names, until, 10).unwrap();
        assert_eq!(again, held);
    }
}
