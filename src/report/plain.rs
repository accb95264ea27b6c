//! Numbers, moments and addresses as text, as every format writes them.
//!
//! Into a buffer, without the machinery of `fmt`, which costs several times as much: of a row nearly
//! all is these.

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use crate::flow::community_id::CommunityId;
use crate::model::time::Timestamp;
use crate::model::uuid::Uuid;

const NANOS: i64 = 1_000_000_000;
const SECONDS_A_DAY: i64 = 86_400;

/// Appends a number.
pub fn number(line: &mut Vec<u8>, number: u64) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
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
    let (year, of_day, nano) = (year as u32, of_day as u32, nano as u32);
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    two_digits(&mut text, 0, year / 100);
    two_digits(&mut text, 2, year % 100);
    two_digits(&mut text, 5, month as u32);
    two_digits(&mut text, 8, day as u32);
    two_digits(&mut text, 11, of_day / 3600);
    two_digits(&mut text, 14, of_day / 60 % 60);
    two_digits(&mut text, 17, of_day % 60);
    nine_digits(&mut text, 20, nano);
    line.extend_from_slice(&text);
}

/// Appends seconds with nine digits of a fraction.
pub fn seconds(line: &mut Vec<u8>, span: Duration) {
    number(line, span.as_secs());
    let mut text = *b".000000000";
    nine_digits(&mut text, 1, span.subsec_nanos());
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

/// Appends a UUID.
pub fn uuid(line: &mut Vec<u8>, uuid: Uuid) {
    line.extend_from_slice(&uuid.text());
}

/// Appends a version: `1.0`.
pub fn version(line: &mut Vec<u8>, major: u16, minor: u16) {
    number(line, major.into());
    line.push(b'.');
    number(line, minor.into());
}

/// Appends a Community ID.
pub fn community_id(line: &mut Vec<u8>, id: CommunityId) {
    line.extend_from_slice(&id.text());
}

/// Writes a number below 100 at this place.
fn two_digits<const N: usize>(text: &mut [u8; N], at: usize, number: u32) {
    text[at] = b'0' + (number / 10) as u8;
    text[at + 1] = b'0' + (number % 10) as u8;
}

/// Writes a number below 1,000,000,000 at this place.
fn nine_digits<const N: usize>(text: &mut [u8; N], at: usize, number: u32) {
    text[at] = b'0' + (number / 100_000_000) as u8;
    two_digits(text, at + 1, number / 1_000_000 % 100);
    two_digits(text, at + 3, number / 10_000 % 100);
    two_digits(text, at + 5, number / 100 % 100);
    two_digits(text, at + 7, number % 100);
}

/// Year, month and day of the Gregorian calendar, so many days after 1970-01-01.
fn date(days: i64) -> (i64, u64, u64) {
    // Years are counted from March on, so that the day which leap years have more is their last, in
    // ages of 400 years, which are all of one length: from the first of March of the year 0.
    const TO_1970: i64 = 719_468;
    const AGE: i64 = 146_097;
    const CENTURY: i64 = 36_524;
    const FOUR_YEARS: i64 = 1461;
    const YEAR: i64 = 365;
    let (age, day) = (
        (days + TO_1970).div_euclid(AGE),
        (days + TO_1970).rem_euclid(AGE),
    );
    // Without its leap days the age has years of one length.
    let leap_days = day / (FOUR_YEARS - 1) - day / CENTURY + day / (AGE - 1);
    let year = (day - leap_days) / YEAR;
    let of_year = day - (year * YEAR + year / 4 - year / 100);
    // From March on, five months have 153 days, again and again.
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = 400 * age + year + i64::from(month <= 2);
    (year, month as u64, of_month as u64 + 1)
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
