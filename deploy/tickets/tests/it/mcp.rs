//! The MCP server as a real rmcp client sees it, in both protocol eras.

use doorward_tickets::{McpOptions, Trust, serve_mcp};
use reqwest::StatusCode;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::{ALICE, BOB, ORGANIZATION, USER, call, connect, eras, http, start};

#[tokio::test]
async fn five_tools_with_hints_in_both_eras() {
    let services = start(None).await;
    for (era, mode) in eras() {
        let client = connect(&services.mcp_url(), mode, ALICE).await;
        let tools = client.list_all_tools().await.unwrap();
        let mut names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["create_ticket", "get_ticket", "list_tickets", "search_tickets", "whoami"],
            "{era}"
        );
        for tool in &tools {
            let hints = tool.annotations.as_ref().unwrap();
            assert_eq!(hints.read_only_hint, Some(tool.name != "create_ticket"), "{}", tool.name);
            assert!(tool.description.as_ref().unwrap().len() > 40, "{}", tool.name);
        }
        let required = |name: &str| {
            let tool = tools.iter().find(|tool| tool.name == name).unwrap();
            json!(tool.input_schema)["required"].clone()
        };
        assert_eq!(required("list_tickets"), json!(null));
        assert_eq!(required("create_ticket"), json!(["title", "description"]));
        assert_eq!(required("search_tickets"), json!(["query"]));
        assert_eq!(required("get_ticket"), json!(["ticket_id"]));
        assert_eq!(required("whoami"), json!(null));
        client.cancel().await.unwrap();
    }
}

#[tokio::test]
async fn whoami_is_the_identity_of_its_own_request_in_both_eras() {
    let services = start(None).await;
    for (era, mode) in eras() {
        for (headers, user, organization) in [(ALICE, "alice", "acme"), (BOB, "bob", "globex")] {
            let client = connect(&services.mcp_url(), mode.clone(), headers).await;
            let (error, answer) = call(&client, "whoami", json!({})).await;
            let expected =
                json!({"success": true, "user_id": user, "organization_id": organization});
            assert_eq!((error, answer), (false, expected), "{era}");
            client.cancel().await.unwrap();
        }
    }
}

#[tokio::test]
async fn create_list_search_get_in_both_eras() {
    for (era, mode) in eras() {
        let services = start(None).await;
        let client = connect(&services.mcp_url(), mode, ALICE).await;
        let arguments = json!({"title": "100% & more", "description": "d", "priority": "high"});
        let (error, created) = call(&client, "create_ticket", arguments).await;
        assert!(!error, "{era}: {created}");
        let ticket = &created["ticket"];
        assert_eq!(ticket["created_by"], "alice");
        assert_eq!(ticket["organization_id"], "acme");
        assert_eq!(ticket["priority"], "high");
        assert_eq!(ticket["category"], "general");

        let (_, listed) = call(&client, "list_tickets", json!({})).await;
        assert_eq!((&listed["tickets"][0], &listed["total"]), (ticket, &json!(1)), "{era}");
        let (_, narrowed) = call(&client, "list_tickets", json!({"priority": "low"})).await;
        assert_eq!(narrowed["total"], 0, "{era}");
        let (_, found) = call(&client, "search_tickets", json!({"query": "0% & M"})).await;
        assert_eq!((&found["tickets"][0], &found["total"]), (ticket, &json!(1)), "{era}");
        let (_, read) = call(&client, "get_ticket", json!({"ticket_id": ticket["id"]})).await;
        assert_eq!(read["ticket"], *ticket, "{era}");
        client.cancel().await.unwrap();
    }
}

#[tokio::test]
async fn organizations_do_not_see_each_other() {
    for (era, mode) in eras() {
        let services = start(None).await;
        let alice = connect(&services.mcp_url(), mode.clone(), ALICE).await;
        let bob = connect(&services.mcp_url(), mode, BOB).await;
        let arguments = json!({"title": "secret plan", "description": ""});
        let (_, created) = call(&alice, "create_ticket", arguments).await;
        let id = &created["ticket"]["id"];

        let (error, answer) = call(&bob, "get_ticket", json!({"ticket_id": id})).await;
        assert!(error, "{era}: {answer}");
        assert_eq!(answer, json!({"success": false, "error": "no such ticket"}));
        assert_eq!(call(&bob, "list_tickets", json!({})).await.1["total"], 0, "{era}");
        let found = call(&bob, "search_tickets", json!({"query": "secret"})).await;
        assert_eq!((found.0, &found.1["total"]), (false, &json!(0)), "{era}");
        assert!(!call(&alice, "get_ticket", json!({"ticket_id": id})).await.0, "{era}");
    }
}

#[tokio::test]
async fn without_an_identity_every_tool_says_so() {
    let services = start(None).await;
    for (era, mode) in eras() {
        for (headers, part) in [
            (&[][..], "X-User-ID is missing"),
            (&[(USER, "alice")], "X-Organization-ID is missing"),
        ] {
            let client = connect(&services.mcp_url(), mode.clone(), headers).await;
            for (tool, arguments) in [
                ("list_tickets", json!({})),
                ("create_ticket", json!({"title": "t", "description": "d"})),
                ("search_tickets", json!({"query": "t"})),
                ("get_ticket", json!({"ticket_id": "T-1"})),
            ] {
                let (error, answer) = call(&client, tool, arguments).await;
                assert!(error, "{era} {tool}: {answer}");
                assert_eq!(answer["success"], false);
                assert!(answer["error"].as_str().unwrap().contains(part), "{era} {tool}: {answer}");
            }
        }
    }
    let alice = connect(&services.mcp_url(), eras()[0].1.clone(), ALICE).await;
    assert_eq!(call(&alice, "list_tickets", json!({})).await.1["total"], 0);
}

#[tokio::test]
async fn what_the_api_refuses_is_an_error_result_in_its_words() {
    let services = start(None).await;
    let client = connect(&services.mcp_url(), eras()[1].1.clone(), ALICE).await;
    for (tool, arguments, part) in [
        ("list_tickets", json!({"page": 0}), "parameter page must"),
        ("list_tickets", json!({"page_size": 101}), "parameter page_size must"),
        ("list_tickets", json!({"status": "done"}), "parameter status must be one of"),
        ("search_tickets", json!({"query": ""}), "parameter q must"),
        ("create_ticket", json!({"title": "", "description": ""}), "title must have"),
        ("get_ticket", json!({"ticket_id": "../health"}), "must look like T-12"),
        ("get_ticket", json!({"ticket_id": "T-7"}), "no such ticket"),
    ] {
        let (error, answer) = call(&client, tool, arguments).await;
        assert!(error, "{tool}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(part), "{tool}: {answer}");
    }
}

#[tokio::test]
async fn an_api_that_is_away_is_an_error_result() {
    // Bound and dropped: an address where nobody answers.
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let api = format!("http://{nobody}").parse().unwrap();
    let options = McpOptions { api, trust: Trust::default(), allowed_hosts: Vec::new() };
    let server = tokio::spawn(serve_mcp(listener, options, std::future::pending()));
    let client = connect(&url, eras()[1].1.clone(), ALICE).await;
    let (error, answer) = call(&client, "list_tickets", json!({})).await;
    assert!(error);
    assert!(answer["error"].as_str().unwrap().contains("could not be reached"), "{answer}");
    server.abort();
}

#[tokio::test]
async fn only_known_hosts_are_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let api = "http://127.0.0.1:9".parse().unwrap();
    let options =
        McpOptions { api, trust: Trust::default(), allowed_hosts: vec!["tickets-mcp".to_owned()] };
    let server = tokio::spawn(serve_mcp(listener, options, std::future::pending()));
    let port = address.port();
    for (host, allowed) in [
        (address.to_string(), true),
        (format!("localhost:{port}"), true),
        (format!("tickets-mcp:{port}"), true),
        ("tickets-mcp".to_owned(), true),
        (format!("evil.example:{port}"), false),
        (format!("127.0.0.1:{}", port ^ 1), false),
    ] {
        let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "test", "version": "0"}
        }});
        let response = http()
            .post(format!("http://{address}/mcp"))
            .header("host", &host)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .body(initialize.to_string())
            .send()
            .await
            .unwrap();
        let expected = if allowed { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(response.status(), expected, "{host}");
    }
    server.abort();
}

#[tokio::test]
async fn a_doubled_identity_is_an_error_result() {
    let services = start(None).await;
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "list_tickets", "arguments": {}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
            "io.modelcontextprotocol/clientCapabilities": {}
        }
    }});
    let response = http()
        .post(services.mcp_url())
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "list_tickets")
        .header(USER, "alice")
        .header(ORGANIZATION, "acme")
        .header(ORGANIZATION, "globex")
        .body(call.to_string())
        .send()
        .await
        .unwrap();
    let text = response.text().await.unwrap();
    assert!(text.contains("X-Organization-ID was sent more than once"), "{text}");
    assert!(text.contains("\"isError\":true"), "{text}");
}
