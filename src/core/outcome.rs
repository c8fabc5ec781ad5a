//! How a request ended, in the words of metrics and audit.

use super::json::{Scanner, Token};

/// How a request ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The caller went away before the answer was complete.
    Cancelled,
    /// The policy said no.
    Denied,
    /// A fault of the gateway.
    Internal,
    /// Not a request that can be judged.
    Invalid,
    /// Forwarded and answered.
    Ok,
    /// A limit of the gateway is reached.
    Overloaded,
    /// Forwarded, and the answer is a JSON-RPC error.
    RpcError,
    /// The upstream did not answer in time.
    Timeout,
    /// Forwarded, and the answer is a tool result with `isError`.
    ToolError,
    /// Nobody known was calling.
    Unauthenticated,
    /// The upstream could not be reached, or its answer could not be passed on.
    UpstreamError,
}

impl Outcome {
    /// Every variant, for metrics that show a zero before the first event.
    pub const ALL: [Self; 11] = [
        Self::Cancelled,
        Self::Denied,
        Self::Internal,
        Self::Invalid,
        Self::Ok,
        Self::Overloaded,
        Self::RpcError,
        Self::Timeout,
        Self::ToolError,
        Self::Unauthenticated,
        Self::UpstreamError,
    ];

    /// The word for it in metrics and audit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::Internal => "internal",
            Self::Invalid => "invalid",
            Self::Ok => "ok",
            Self::Overloaded => "overloaded",
            Self::RpcError => "rpc_error",
            Self::Timeout => "timeout",
            Self::ToolError => "tool_error",
            Self::Unauthenticated => "unauthenticated",
            Self::UpstreamError => "upstream_error",
        }
    }
}

/// What an answer says of itself: HTTP 200 is no sign of success in MCP, where a failed tool
/// answers `isError` and a failed request a JSON-RPC `error`. `None` where `text` is not the
/// answer to a request (a notification, or nothing readable).
#[must_use]
pub fn of_answer(text: &str, max_depth: usize) -> Option<Outcome> {
    let mut scanner = Scanner::new(text, max_depth);
    let mut outcome = None;
    let mut inside_result = false;
    while let Some(event) = scanner.next_event().ok()? {
        match (event.depth, event.key.as_deref()) {
            (1, Some("error")) => outcome = Some(Outcome::RpcError),
            (1, Some("result")) => {
                inside_result = true;
                outcome = Some(Outcome::Ok);
            }
            (1, _) => inside_result = false,
            (2, Some("isError")) if inside_result && event.token == Token::Bool(true) => {
                outcome = Some(Outcome::ToolError);
            }
            _ => {}
        }
    }
    outcome
}

/// Whether `text` is a response of JSON-RPC 2.0, and not what somebody else calls an error.
#[must_use]
pub fn is_response(text: &str, max_depth: usize) -> bool {
    let mut scanner = Scanner::new(text, max_depth);
    let (mut is_version_2, mut is_answered, mut inside_error) = (false, false, false);
    loop {
        let event = match scanner.next_event() {
            Ok(Some(event)) => event,
            Ok(None) => return is_version_2 && is_answered,
            Err(_) => return false,
        };
        match (event.depth, event.key.as_deref()) {
            (1, Some("jsonrpc")) => {
                is_version_2 = matches!(event.token, Token::String(said) if said.decode() == "2.0");
            }
            (1, name) => {
                inside_error = name == Some("error") && event.token == Token::ObjectStart;
                is_answered |= name == Some("result");
            }
            (2, Some("code")) if inside_error => {
                is_answered |= matches!(event.token, Token::Number(_));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_call_an_error_is_no_response_of_json_rpc() {
        for (text, expected) in [
            (r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600}}"#, true),
            (r#"{"error":{"message":"x","code":1},"id":1,"jsonrpc":"2.0"}"#, true),
            (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, true),
            (r#"{"error":{"code":1}}"#, false),
            (r#"{"jsonrpc":"1.0","error":{"code":1}}"#, false),
            (r#"{"jsonrpc":"2.0","error":"x"}"#, false),
            (r#"{"jsonrpc":"2.0","error":{"code":"x"}}"#, false),
            (r#"{"jsonrpc":"2.0","error":{"x":{"code":1}}}"#, false),
            (r#"{"jsonrpc":"2.0","error":{},"x":{"code":1}}"#, false),
            (r#"{"jsonrpc":"2.0","method":"x"}"#, false),
            (r#"{"jsonrpc":"2.0","error":{"code":1}"#, false),
            ("<html>", false),
            ("", false),
        ] {
            assert_eq!(is_response(text, 64), expected, "{text}");
        }
    }

    #[test]
    fn an_answer_tells_its_outcome() {
        let cases = [
            (r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#, Some(Outcome::Ok)),
            (r#"{"result":{"isError":true}}"#, Some(Outcome::ToolError)),
            (r#"{"result":{"isError":false}}"#, Some(Outcome::Ok)),
            (r#"{"result":{"x":{"isError":true}}}"#, Some(Outcome::Ok)),
            (r#"{"id":1,"error":{"code":-1}}"#, Some(Outcome::RpcError)),
            (r#"{"method":"notifications/progress","params":{"isError":true}}"#, None),
            ("not json", None),
        ];
        for (text, expected) in cases {
            assert_eq!(of_answer(text, 64), expected, "{text}");
        }
    }
}
