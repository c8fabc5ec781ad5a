//! The members of an answer that MCP defines. Where a list was asked for, nothing else passes: a
//! reader could find hidden names in it, and no client needs it.

use crate::core::edits::Edits;
use crate::core::json::{Event, Token};
use crate::core::members::Members;

/// Members of a response (JSON-RPC 2.0 5).
const RESPONSE: [&str; 4] = ["error", "id", "jsonrpc", "result"];

/// Members of a request or a notification (JSON-RPC 2.0 4).
const CALL: [&str; 4] = ["id", "jsonrpc", "method", "params"];

/// Members of a JSON-RPC error. Its `data` is of any form.
const ERROR: [&str; 2] = ["code", "message"];

/// Members of the result of a list, besides the list (MCP 2026-07-28, "Pagination", "Caching").
const RESULT: [&str; 9] = [
    "_meta",
    "cacheScope",
    "nextCursor",
    "prompts",
    "resourceTemplates",
    "resources",
    "resultType",
    "tools",
    "ttlMs",
];

/// The one member of the `_meta` of a list that is defined: who answers.
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// Members of it that are texts (MCP 2026-07-28, `Implementation`).
const IMPLEMENTATION: [&str; 5] = ["description", "name", "title", "version", "websiteUrl"];

/// The object in the first level of a message that is being read.
#[derive(Clone, Copy, Default, PartialEq)]
enum Inside {
    Error,
    #[default]
    Other,
    Result,
}

/// The members of the objects of a message that may have to be taken out.
#[derive(Default)]
pub(super) struct Known {
    message: Members,
    error: Members,
    result: Members,
    meta: Members,
    info: Members,
    inside: Inside,
    in_meta: bool,
    in_info: bool,
}

impl Known {
    pub(super) fn step(&mut self, event: &Event<'_>) {
        let key = event.key.as_deref();
        let is_object = event.token == Token::ObjectStart;
        match (event.depth, self.inside) {
            (0, _) if is_object => self.message = Members::begin(event.end),
            (1, _) => {
                self.message.see(event, fits_message(key, event.token));
                (self.inside, self.in_meta, self.in_info) = (Inside::Other, false, false);
                match key.filter(|_| is_object) {
                    Some("error") => {
                        (self.inside, self.error) = (Inside::Error, Members::begin(event.end));
                    }
                    Some("result") => {
                        (self.inside, self.result) = (Inside::Result, Members::begin(event.end));
                    }
                    _ => {}
                }
            }
            (2, Inside::Error) => self.error.see(event, fits_error(key, event.token)),
            (2, Inside::Result) => {
                self.result.see(event, fits_result(key, event.token));
                self.in_info = false;
                self.in_meta = is_object && key == Some("_meta");
                if self.in_meta {
                    self.meta = Members::begin(event.end);
                }
            }
            (3, _) if self.in_meta => {
                self.meta.see(event, is_object);
                self.in_info = is_object && key == Some(SERVER_INFO);
                if self.in_info {
                    self.info = Members::begin(event.end);
                }
            }
            (4, _) if self.in_info => self.info.see(event, is_text(event.token)),
            _ => {}
        }
    }

    /// Takes out what is not known of a list.
    pub(super) fn of_list(&self, text: &str, edits: &mut Edits) {
        self.message.keep_only(text, &RESPONSE, edits);
        self.result.keep_only(text, &RESULT, edits);
        self.meta.keep_only(text, &[SERVER_INFO], edits);
        self.info.keep_only(text, &IMPLEMENTATION, edits);
    }

    /// Takes out what is not known of an error.
    pub(super) fn of_error(&self, text: &str, edits: &mut Edits) {
        self.message.keep_only(text, &RESPONSE, edits);
        self.error.keep_only(text, &ERROR, edits);
    }

    /// Takes out what is not known of a request or a notification.
    pub(super) fn of_call(&self, text: &str, edits: &mut Edits) {
        self.message.keep_only(text, &CALL, edits);
    }
}

fn is_text(token: Token<'_>) -> bool {
    matches!(token, Token::String(_))
}

fn fits_message(key: Option<&str>, token: Token<'_>) -> bool {
    match (key, token) {
        (Some("jsonrpc"), Token::String(version)) => version.decode() == "2.0",
        (Some("id"), Token::String(_) | Token::Number(_) | Token::Null) => true,
        (Some("method"), Token::String(_)) => true,
        (Some("error" | "params" | "result"), Token::ObjectStart) => true,
        _ => false,
    }
}

fn fits_error(key: Option<&str>, token: Token<'_>) -> bool {
    matches!((key, token), (Some("code"), Token::Number(_)) | (Some("message"), Token::String(_)))
}

fn fits_result(key: Option<&str>, token: Token<'_>) -> bool {
    match (key, token) {
        (Some("_meta"), token) => token == Token::ObjectStart,
        (Some("nextCursor"), token) => is_text(token) || token == Token::Null,
        (Some("resultType"), Token::String(kind)) => kind.decode() == "complete",
        (Some("resultType"), _) => false,
        // Lists and what is said about caches were looked at before.
        _ => true,
    }
}
