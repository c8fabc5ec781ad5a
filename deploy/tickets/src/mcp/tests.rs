use super::*;
use crate::vocabulary::{CATEGORY, PRIORITY, STATUS};

#[test]
fn the_bound_address_and_named_hosts_are_allowed() {
    let hosts = allowed_hosts("10.0.0.5:8001".parse().unwrap(), vec!["tickets".into()]).unwrap();
    assert_eq!(hosts, ["10.0.0.5:8001", "tickets"]);
    let hosts = allowed_hosts("127.0.0.1:8001".parse().unwrap(), Vec::new()).unwrap();
    assert!(hosts.contains(&"localhost:8001".to_owned()), "{hosts:?}");
}

#[test]
fn a_host_that_could_never_match_is_refused() {
    for host in ["", "http://tickets", "tickets/mcp", "a@b", "a b"] {
        let bound = "127.0.0.1:8001".parse().unwrap();
        assert!(allowed_hosts(bound, vec![host.into()]).is_err(), "{host:?}");
    }
}

#[test]
fn a_model_is_told_every_word_it_may_use() {
    let router = Tools::tool_router();
    let schema = |tool: &str| json!(router.get(tool).unwrap().input_schema);
    for (tool, vocabulary) in [
        ("list_tickets", STATUS),
        ("list_tickets", CATEGORY),
        ("list_tickets", PRIORITY),
        ("create_ticket", CATEGORY),
        ("create_ticket", PRIORITY),
    ] {
        let schema = schema(tool);
        let text = schema["properties"][vocabulary.parameter]["description"].as_str().unwrap();
        for word in vocabulary.words {
            assert!(text.contains(word), "{tool} does not name {word}: {text}");
        }
    }
}

#[test]
fn a_call_without_an_http_request_has_no_caller() {
    let answer = caller(&Extensions::default()).unwrap_err();
    assert!(!answer.success);
    assert!(answer.text.contains("did not arrive over HTTP"), "{}", answer.text);
}
