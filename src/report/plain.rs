//! Numbers, moments and addresses as text, as every format writes them.
//!
//! By hand, into a buffer: of a row nearly all is these, and the machinery of `fmt` costs several
//! times as much.

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use crate::model::time::Timestamp;

const NANOS: i64 = 1_000_000_000;
const SECONDS_A_DAY: i64 = 86_400;

/// Appends a number.
pub fn number(line: &mut Vec<u8>, mut number: u64) {
    const LONGEST: usize = 20;
    let mut digits = [0; LONGEST];
    let mut at = LONGEST;
    while at == LONGEST || number > 0 {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    line.extend_from_slice(&digits[at..]);
}

/// Appends the moment as RFC 3339 in UTC with nine digits of a second always, so that moments sort
/// as text.
pub fn time(line: &mut Vec<u8>, time: Timestamp) {
    let (second, nano) = (
        time.nanos().div_euclid(NANOS),
        time.nanos().rem_euclid(NANOS),
    );
    let (day, of_day) = (
        second.div_euclid(SECONDS_A_DAY),
        second.rem_euclid(SECONDS_A_DAY),
    );
    let (year, month, day) = date(day);
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    digits(&mut text[0..4], year as u64);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], day);
    digits(&mut text[11..13], of_day as u64 / 3600);
    digits(&mut text[14..16], of_day as u64 / 60 % 60);
    digits(&mut text[17..19], of_day as u64 % 60);
    digits(&mut text[20..29], nano as u64);
    line.extend_from_slice(&text);
}

/// Appends seconds with nine digits of a fraction.
pub fn seconds(line: &mut Vec<u8>, span: Duration) {
    number(line, span.as_secs());
    let mut text = *b".000000000";
    digits(&mut text[1..], span.subsec_nanos().into());
    line.extend_from_slice(&text);
}

/// Appends an address (RFC 5952 for IPv6).
pub fn address(line: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            for (place, octet) in v4.octets().into_iter().enumerate() {
                if place > 0 {
                    line.push(b'.');
                }
                number(line, octet.into());
            }
        }
        IpAddr::V6(v6) => write!(line, "{v6}").expect("a vector takes all"),
    }
}

/// Fills `places` with the last digits of `number`.
fn digits(places: &mut [u8], mut number: u64) {
    for place in places.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Days before each month of a year that is no leap year.
const BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/// Year, month and day of the Gregorian calendar, so many days after 1970-01-01. For years after 0.
fn date(days: i64) -> (i64, u64, u64) {
    // Never too late, and too early by a year or two at most.
    let mut year = 1970 + days.div_euclid(if days < 0 { 365 } else { 366 });
    while days_before(year + 1) <= days {
        year += 1;
    }
    let of_year = days - days_before(year);
    let is_leap = days_before(year + 1) - days_before(year) == 366;
    let before = |month: usize| BEFORE_MONTH[month] + i64::from(is_leap && month > 1);
    let month = (1..12)
        .take_while(|month| before(*month) <= of_year)
        .count();
    (year, month as u64 + 1, (of_year - before(month)) as u64 + 1)
}

/// Days from 1970-01-01 to the first of January.
fn days_before(year: i64) -> i64 {
    const TO_1970: i64 = 719_162;
    let past = year - 1;
    past * 365 + past / 4 - past / 100 + past / 400 - TO_1970
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(add: impl Fn(&mut Vec<u8>)) -> String {
        let mut line = Vec::new();
        add(&mut line);
        String::from_utf8(line).expect("text")
    }

    fn moment(nanos: i64) -> String {
        written(|line| time(line, Timestamp::from_nanos(nanos.into())))
    }

    #[test]
    fn a_moment_keeps_its_nanoseconds() {
        assert_eq!(
            moment(1_156_534_340_000_000_001),
            "2006-08-25T19:32:20.000000001Z"
        );
        assert_eq!(moment(-1), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn the_ends_of_time_can_be_written() {
        assert_eq!(moment(i64::MIN), "1677-09-21T00:12:43.145224192Z");
        assert_eq!(moment(i64::MAX), "2262-04-11T23:47:16.854775807Z");
    }

    proptest! {
        #[test]
        fn every_moment_is_written_as_a_calendar_has_it(nanos in any::<i64>()) {
            let (second, nano) = (nanos.div_euclid(NANOS), nanos.rem_euclid(NANOS));
            let known = jiff::Timestamp::new(second, nano as i32).expect("it is in range");
            prop_assert_eq!(moment(nanos), format!("{known:.9}"));
        }

        #[test]
        fn every_number_and_address_is_written_as_fmt_does(bits in any::<u64>(), few in 0..64u32) {
            let bits = bits >> few;
            prop_assert_eq!(written(|line| number(line, bits)), bits.to_string());
            let v4 = IpAddr::from((bits as u32).to_be_bytes());
            prop_assert_eq!(written(|line| address(line, v4)), v4.to_string());
            let span = Duration::from_nanos(bits);
            let known = format!("{}.{:09}", span.as_secs(), span.subsec_nanos());
            prop_assert_eq!(written(|line| seconds(line, span)), known);
        }
    }
}
