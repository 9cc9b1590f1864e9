//! From what came back to what is certain.

use bursar_ports::PayoutAnswer;
use reqwest::StatusCode;
use serde::Deserialize;

/// What a gateway answers with.
#[derive(Debug, Deserialize)]
struct Body {
    status: Word,
    detail: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Paid,
    Refused,
    Pending,
}

/// What an answer with this status and body makes certain. A refusal gives the hold back, so
/// nothing but the gateway's own word in full is one.
pub(crate) fn read(status: StatusCode, body: &[u8]) -> PayoutAnswer {
    let unknown = |what| PayoutAnswer::Unknown { what };
    let refuses = matches!(
        status,
        StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY
    );
    if status != StatusCode::OK && !refuses {
        return unknown("status");
    }
    let Ok(Body {
        status: word,
        detail,
    }) = serde_json::from_slice(body)
    else {
        return unknown("unreadable");
    };
    match word {
        Word::Refused => PayoutAnswer::Refused { detail },
        Word::Paid | Word::Pending if refuses => unknown("status"),
        Word::Paid => PayoutAnswer::Paid,
        Word::Pending => PayoutAnswer::UnderWay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(what: &'static str) -> PayoutAnswer {
        PayoutAnswer::Unknown { what }
    }

    fn refused(detail: Option<&str>) -> PayoutAnswer {
        let detail = detail.map(str::to_owned);
        PayoutAnswer::Refused { detail }
    }

    #[test]
    fn only_a_whole_answer_is_certain() {
        let paid = r#"{"status":"paid"}"#;
        let refusal = r#"{"status":"refused","detail":"no such address"}"#;
        let bare = r#"{"status":"refused","detail":null,"more":1}"#;
        let pending = r#"{"status":"pending"}"#;
        let twice = r#"{"status":"paid","status":"refused"}"#;
        for (status, body, expected) in [
            (200, paid, PayoutAnswer::Paid),
            (200, pending, PayoutAnswer::UnderWay),
            (200, refusal, refused(Some("no such address"))),
            (409, refusal, refused(Some("no such address"))),
            (422, bare, refused(None)),
            (409, paid, unknown("status")),
            (422, pending, unknown("status")),
            (201, paid, unknown("status")),
            (202, pending, unknown("status")),
            (204, "", unknown("status")),
            (302, refusal, unknown("status")),
            (400, refusal, unknown("status")),
            (401, refusal, unknown("status")),
            (404, refusal, unknown("status")),
            (500, paid, unknown("status")),
            (503, refusal, unknown("status")),
            (200, "", unknown("unreadable")),
            (200, "paid", unknown("unreadable")),
            (200, r#"{"status":"PAID"}"#, unknown("unreadable")),
            (200, r#"{"status":"lost"}"#, unknown("unreadable")),
            (200, twice, unknown("unreadable")),
            (200, r#"{"status":"paid"} {}"#, unknown("unreadable")),
            (409, "", unknown("unreadable")),
            (422, "{}", unknown("unreadable")),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(read(status, body.as_bytes()), expected, "{status} {body}");
        }
    }
}
