//! The ticket API as an HTTP client sees it, over both databases.

use doorward_tickets::{Store, Trust, serve_api};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::postgres::Server;
use crate::support::{ALICE, BOB, ORGANIZATION, USER, api_on, ask};

/// Each case over SQLite as a test of its own; over PostgreSQL all in one, with a database each.
macro_rules! on_both_databases {
    ($($case:ident,)+) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::Store::in_memory().await.unwrap()).await;
            })+
        }

        #[tokio::test]
        async fn on_postgresql() {
            let Some(server) = Server::start() else { return };
            $(eprintln!("{}", stringify!($case));
            $case(server.store(stringify!($case)).await).await;)+
        }
    };
}

on_both_databases! {
    a_ticket_is_created_with_defaults_and_read_back,
    lists_are_newest_first_paged_and_filtered,
    another_organization_is_as_if_it_were_not_there,
    every_route_needs_exactly_one_of_each_identity_header,
    bad_parameters_are_named,
    bad_tickets_are_refused,
    what_is_no_json_or_no_route_is_refused,
    the_largest_ticket_fits_through,
    search_takes_wildcards_literally_and_case_loosely,
}

pub(crate) const TICKETS: &str = "/api/v1/tickets";

pub(crate) async fn get(api: &str, path: &str, headers: &[(&str, &str)]) -> (StatusCode, Value) {
    ask(api, Method::GET, path, headers, None).await
}

async fn post(api: &str, headers: &[(&str, &str)], body: Value) -> (StatusCode, Value) {
    ask(api, Method::POST, &format!("{TICKETS}/ai-create"), headers, Some(body.to_string())).await
}

/// Files a ticket with this title for Alice, and gives back its id.
pub(crate) async fn file(api: &str, title: &str) -> String {
    let (status, answer) = post(api, ALICE, json!({"title": title, "description": ""})).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    answer["ticket"]["id"].as_str().unwrap().to_owned()
}

fn titles(answer: &Value) -> Vec<&str> {
    let tickets = answer["tickets"].as_array().unwrap();
    tickets.iter().map(|ticket| ticket["title"].as_str().unwrap()).collect()
}

fn assert_refused(answer: &(StatusCode, Value), status: StatusCode, part: &str) {
    assert_eq!(answer.0, status, "{}", answer.1);
    assert_eq!(answer.1["success"], false);
    let error = answer.1["error"].as_str().unwrap();
    assert!(error.contains(part), "{error:?} should say {part:?}");
}

async fn a_ticket_is_created_with_defaults_and_read_back(store: Store) {
    let api = api_on(store).await;
    let (status, created) =
        post(&api, ALICE, json!({"title": " Printer ", "description": "on fire"})).await;
    assert_eq!(status, StatusCode::CREATED);
    let ticket = &created["ticket"];
    assert_eq!(created["success"], true);
    for (field, value) in [
        ("title", "Printer"),
        ("description", "on fire"),
        ("category", "general"),
        ("priority", "medium"),
        ("status", "open"),
        ("created_by", "alice"),
        ("organization_id", "acme"),
    ] {
        assert_eq!(ticket[field], value, "{field}");
    }
    let time: jiff::Timestamp = ticket["created_at"].as_str().unwrap().parse().unwrap();
    assert!(ticket["created_at"].as_str().unwrap().ends_with('Z'));
    assert!(time <= jiff::Timestamp::now());

    let id = ticket["id"].as_str().unwrap();
    let (status, read) = get(&api, &format!("{TICKETS}/{id}"), ALICE).await;
    assert_eq!((status, &read), (StatusCode::OK, &created));
}

async fn lists_are_newest_first_paged_and_filtered(store: Store) {
    let api = api_on(store).await;
    for number in 1..=12 {
        let priority = if number % 2 == 0 { "high" } else { "low" };
        let category = if number > 6 { "bug" } else { "billing" };
        let body = json!({
            "title": number.to_string(), "description": "", "priority": priority, "category": category
        });
        assert_eq!(post(&api, ALICE, body).await.0, StatusCode::CREATED);
    }
    let (_, all) = get(&api, TICKETS, ALICE).await;
    assert_eq!(titles(&all), ["12", "11", "10", "9", "8", "7", "6", "5", "4", "3"]);
    assert_eq!(
        (&all["total"], &all["page"], &all["page_size"]),
        (&json!(12), &json!(1), &json!(10))
    );

    for (query, expected, total) in [
        ("page=2", &["2", "1"][..], 12),
        ("page=3&page_size=5", &["2", "1"], 12),
        ("page=4294967295&page_size=100", &[], 12),
        ("priority=high&category=bug", &["12", "10", "8"], 3),
        ("priority=high&category=bug&page=2&page_size=2", &["8"], 3),
        ("status=closed", &[], 0),
        ("status=open&page_size=1", &["12"], 12),
        ("status=&category=&priority=&page_size=1", &["12"], 12),
    ] {
        let (status, answer) = get(&api, &format!("{TICKETS}?{query}"), ALICE).await;
        assert_eq!(status, StatusCode::OK, "{query}: {answer}");
        assert_eq!(titles(&answer), expected, "{query}");
        assert_eq!(answer["total"], total, "{query}");
    }
}

async fn another_organization_is_as_if_it_were_not_there(store: Store) {
    let api = api_on(store).await;
    let id = file(&api, "secret plan").await;

    let foreign = get(&api, &format!("{TICKETS}/{id}"), BOB).await;
    let missing = get(&api, &format!("{TICKETS}/T-999"), BOB).await;
    assert_refused(&foreign, StatusCode::NOT_FOUND, "no such ticket");
    assert_eq!(foreign, missing);
    for path in [TICKETS.to_owned(), format!("{TICKETS}/search?q=secret")] {
        let (_, answer) = get(&api, &path, BOB).await;
        assert_eq!((titles(&answer), &answer["total"]), (vec![], &json!(0)), "{path}");
        let (_, answer) = get(&api, &path, ALICE).await;
        assert_eq!(titles(&answer), ["secret plan"], "{path}");
    }
    let colleague = &[(USER, "carol"), (ORGANIZATION, "acme")];
    assert_eq!(get(&api, &format!("{TICKETS}/{id}"), colleague).await.0, StatusCode::OK);
}

async fn every_route_needs_exactly_one_of_each_identity_header(store: Store) {
    let api = api_on(store).await;
    let id = file(&api, "kept").await;
    let routes = [
        (Method::GET, TICKETS.to_owned()),
        (Method::GET, format!("{TICKETS}/search?q=kept")),
        (Method::GET, format!("{TICKETS}/{id}")),
        (Method::POST, format!("{TICKETS}/ai-create")),
    ];
    for (method, path) in routes {
        for (headers, part) in [
            (&[][..], "X-User-ID is missing"),
            (&[(USER, "alice")], "X-Organization-ID is missing"),
            (&[(ORGANIZATION, "acme")], "X-User-ID is missing"),
            (&[(USER, ""), (ORGANIZATION, "acme")], "X-User-ID is empty"),
            (&[(USER, "alice"), (ORGANIZATION, " ")], "X-Organization-ID is empty"),
            (
                &[(USER, "alice"), (USER, "alice"), (ORGANIZATION, "acme")],
                "X-User-ID was sent more than once",
            ),
            (
                &[(USER, "bob"), (ORGANIZATION, "globex"), (ORGANIZATION, "acme")],
                "X-Organization-ID was sent more than once",
            ),
        ] {
            let body = (method == Method::POST)
                .then(|| json!({"title": "forged", "description": ""}).to_string());
            let answer = ask(&api, method.clone(), &path, headers, body).await;
            assert_refused(&answer, StatusCode::UNAUTHORIZED, part);
        }
    }
    let (_, answer) = get(&api, TICKETS, ALICE).await;
    assert_eq!(titles(&answer), ["kept"]);
    assert_eq!(get(&api, "/health", &[]).await.0, StatusCode::OK);
}

async fn bad_parameters_are_named(store: Store) {
    let api = api_on(store).await;
    for (path, part) in [
        ("?page=0", "parameter page must be a whole number from 1"),
        ("?page_size=101", "parameter page_size must be a whole number from 1 to 100"),
        ("?status=done", "parameter status must be one of: open, in_progress, resolved, closed"),
        ("?organization_id=globex", "unknown parameter \"organization_id\""),
        ("?page=1&page=2", "more than once"),
        ("/search", "parameter q must"),
        ("/search?q=", "parameter q must"),
        ("/search?q=x&status=open", "unknown parameter \"status\"; allowed: q, page, page_size"),
        ("/abc", "must look like T-12"),
        ("/T-1%27%20OR%201=1", "must look like T-12"),
        ("/%ff", "must look like T-12"),
        ("/T-1?verbose=1", "unknown parameter \"verbose\"; allowed: none"),
    ] {
        let answer = get(&api, &format!("{TICKETS}{path}"), ALICE).await;
        assert_refused(&answer, StatusCode::BAD_REQUEST, part);
    }
}

async fn bad_tickets_are_refused(store: Store) {
    let api = api_on(store).await;
    let body = |title: &str, extra: Value| {
        let mut body = json!({"title": title, "description": ""});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    for (body, part) in [
        (json!({"title": "no description"}), "missing field `description`"),
        (json!([1]), "the body is not a ticket"),
        (body("", json!({})), "title must have 1 to 200 characters"),
        (body(&"x".repeat(201), json!({})), "title must have 1 to 200 characters"),
        (body("x", json!({"description": "x".repeat(20_001)})), "at most 20000 characters"),
        (body("x", json!({"category": "fun"})), "category must be one of: general, technical"),
        (body("x", json!({"priority": ""})), "priority must be one of: low"),
        (body("x", json!({"organization_id": "globex"})), "unknown field `organization_id`"),
    ] {
        let answer = post(&api, ALICE, body).await;
        assert_refused(&answer, StatusCode::UNPROCESSABLE_ENTITY, part);
    }
    assert_eq!(get(&api, TICKETS, ALICE).await.1["total"], 0);
}

async fn what_is_no_json_or_no_route_is_refused(store: Store) {
    let api = api_on(store).await;
    let create = format!("{TICKETS}/ai-create");
    for body in ["", "{", "{\"title\":\"a\",\"title\":\"b\",\"description\":\"\"}"] {
        let answer = ask(&api, Method::POST, &create, ALICE, Some(body.into())).await;
        assert_refused(&answer, StatusCode::UNPROCESSABLE_ENTITY, "the body is not a ticket");
    }
    let large = json!({"title": "x", "description": "x".repeat(300_000)});
    let answer = post(&api, ALICE, large).await;
    assert_refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "256 KiB");
    let answer = ask(&api, Method::DELETE, TICKETS, ALICE, None).await;
    assert_refused(&answer, StatusCode::METHOD_NOT_ALLOWED, "method");
    assert_refused(&get(&api, "/nowhere", ALICE).await, StatusCode::NOT_FOUND, "no such path");
    assert_eq!(get(&api, TICKETS, ALICE).await.1["total"], 0);
}

async fn the_largest_ticket_fits_through(store: Store) {
    let api = api_on(store).await;
    // Every character escaped as a surrogate pair: the longest form of the longest text.
    let body = format!(
        "{{\"title\":\"{}\",\"description\":\"{}\"}}",
        "\\ud83d\\ude00".repeat(200),
        "\\ud83d\\ude00".repeat(20_000)
    );
    let (status, answer) =
        ask(&api, Method::POST, &format!("{TICKETS}/ai-create"), ALICE, Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    assert_eq!(answer["ticket"]["title"], "😀".repeat(200));
}

async fn search_takes_wildcards_literally_and_case_loosely(store: Store) {
    let api = api_on(store).await;
    for title in ["100% done", "100 done", "snake_case", "snakeXcase", "back\\slash", "Über"] {
        file(&api, title).await;
    }
    let hidden = json!({"title": "other", "description": "The Needle"});
    post(&api, ALICE, hidden).await;
    for (q, expected) in [
        ("100%25", &["100% done"][..]),
        ("%25", &["100% done"]),
        ("_", &["snake_case"]),
        ("SNAKE", &["snakeXcase", "snake_case"]),
        ("%5C", &["back\\slash"]),
        ("%C3%BCBER", &["Über"]),
        ("needle", &["other"]),
        ("%27%20OR%201=1--", &[]),
    ] {
        let (status, answer) = get(&api, &format!("{TICKETS}/search?q={q}"), ALICE).await;
        assert_eq!(status, StatusCode::OK, "{q}: {answer}");
        assert_eq!(titles(&answer), expected, "{q}");
        assert_eq!(answer["total"], expected.len(), "{q}");
    }
    let (_, page) = get(&api, &format!("{TICKETS}/search?q=snake&page=2&page_size=1"), ALICE).await;
    assert_eq!((titles(&page), &page["total"]), (vec!["snake_case"], &json!(2)));
}

#[tokio::test]
async fn a_file_outlives_the_service() {
    let file_name = format!("tickets-{}.sqlite", std::process::id());
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(file_name);
    let mut ids = Vec::new();
    for round in ["first", "second"] {
        let store = Store::open(&path).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stopped = async { stopped.await.unwrap() };
        let task = tokio::spawn(serve_api(listener, store, Trust::default(), stopped));
        ids.push(file(&api, round).await);
        let (_, answer) = get(&api, TICKETS, ALICE).await;
        assert_eq!(answer["total"], ids.len());
        stop.send(()).unwrap();
        task.await.unwrap().unwrap();
    }
    assert_ne!(ids[0], ids[1]);
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.clone().into_os_string();
        name.push(suffix);
        let _ = std::fs::remove_file(name);
    }
}
