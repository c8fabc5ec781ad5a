//! Moments as people say them.

use std::str::FromStr;

use jiff::Timestamp;

/// A moment: so long ago (`30d`), `today` and `yesterday` at their beginning in UTC, a date, or a
/// date and time with its offset.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Moment(pub(in crate::cli) Timestamp);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const DAY: i64 = 86_400;
        let now = Timestamp::now().as_second();
        let today = now - now.rem_euclid(DAY);
        let seconds = match text {
            "now" => Some(now),
            "today" => Some(today),
            "yesterday" => Some(today - DAY),
            _ => humantime::parse_duration(text)
                .ok()
                .and_then(|ago| Some(now - i64::try_from(ago.as_secs()).ok()?)),
        };
        let moment = match seconds {
            Some(seconds) => Timestamp::from_second(seconds).ok(),
            None => format!("{text}T00:00:00Z").parse().or_else(|_| text.parse()).ok(),
        };
        moment.map(Self).ok_or_else(|| {
            "write 30d, today, yesterday, 2027-06-30 or 2027-06-30T12:00:00Z".to_owned()
        })
    }
}
