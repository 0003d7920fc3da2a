//! Dates and times of the contract: `YYYY-MM-DD`, and RFC 3339 with a zone.
//!
//! In: text. Out: days or microseconds since 1970 in UTC. Always: years 0001 to 9999 in UTC, so that every value read
//! here can be written back, and by any language's own date type.

use super::Day;

const DAY_US: i64 = 86_400_000_000;
/// 0001-01-01.
const DAY_MIN: Day = -719_162;
/// 9999-12-31.
const DAY_MAX: Day = 2_932_896;

/// Reads `YYYY-MM-DD`.
pub fn parse_day(text: &str) -> Option<Day> {
    let bytes: &[u8; 10] = text.as_bytes().try_into().ok()?;
    let (year, month, day) = (digits(&bytes[0..4])?, digits(&bytes[5..7])?, digits(&bytes[8..10])?);
    let shaped = bytes[4] == b'-' && bytes[7] == b'-' && year >= 1 && (1..=12).contains(&month);
    (shaped && day >= 1 && day <= days_of_month(year, month)).then(|| day_of_date(year, month, day))
}

/// Reads an RFC 3339 time; digits below a microsecond are cut off, a leap second is no time.
pub fn parse_time(text: &str) -> Option<i64> {
    let day = parse_day(text.get(..10)?)?;
    let bytes = text.as_bytes();
    if !matches!(bytes.get(10), Some(b'T' | b't')) || bytes.get(13) != Some(&b':') || bytes.get(16) != Some(&b':') {
        return None;
    }
    let clock = [bytes.get(11..13)?, bytes.get(14..16)?, bytes.get(17..19)?];
    let [hour, minute, second] = [digits(clock[0])?, digits(clock[1])?, digits(clock[2])?];
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (micros, zone) = fraction(&bytes[19..])?;
    let seconds = i64::from(hour * 3600 + minute * 60 + second) - zone_seconds(zone)?;
    let time = i64::from(day) * DAY_US + seconds * 1_000_000 + micros;
    (DAY_MIN..=DAY_MAX).contains(&day_of_time(time)).then_some(time)
}

/// The day, in UTC, of a time in microseconds.
pub fn day_of_time(time_us: i64) -> Day {
    time_us.div_euclid(DAY_US) as Day
}

/// Appends `"YYYY-MM-DD"`, with its quotes.
pub fn write_day(out: &mut Vec<u8>, day: Day) {
    out.push(b'"');
    write_date(out, day);
    out.push(b'"');
}

/// Appends `"YYYY-MM-DDTHH:MM:SSZ"`, with its quotes, and with six decimals unless they are zeros.
pub fn write_time(out: &mut Vec<u8>, time_us: i64) {
    let of_day = time_us.rem_euclid(DAY_US);
    let (seconds, micros) = ((of_day / 1_000_000) as u32, (of_day % 1_000_000) as u32);
    let mut text = *b"\"0000-00-00T00:00:00";
    text[1..11].copy_from_slice(&date(day_of_time(time_us)));
    text[12..14].copy_from_slice(&two(seconds / 3600));
    text[15..17].copy_from_slice(&two(seconds / 60 % 60));
    text[18..20].copy_from_slice(&two(seconds % 60));
    out.extend_from_slice(&text);
    if micros != 0 {
        let mut decimals = *b".000000";
        for (place, two_digits) in [micros / 10_000, micros / 100 % 100, micros % 100]
            .into_iter()
            .enumerate()
        {
            decimals[1 + 2 * place..3 + 2 * place].copy_from_slice(&two(two_digits));
        }
        out.extend_from_slice(&decimals);
    }
    out.extend_from_slice(b"Z\"");
}

fn write_date(out: &mut Vec<u8>, day: Day) {
    out.extend_from_slice(&date(day));
}

fn date(day: Day) -> [u8; 10] {
    let (year, month, day) = date_of_day(day);
    let mut text = *b"0000-00-00";
    text[0..2].copy_from_slice(&two(year as u32 / 100));
    text[2..4].copy_from_slice(&two(year as u32 % 100));
    text[5..7].copy_from_slice(&two(month as u32));
    text[8..10].copy_from_slice(&two(day as u32));
    text
}

/// A number below a hundred, in two digits.
fn two(number: u32) -> [u8; 2] {
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

fn digits(bytes: &[u8]) -> Option<i32> {
    bytes.iter().try_fold(0, |sum, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + i32::from(byte - b'0'))
    })
}

/// Splits `.123Z` into microseconds and the zone.
fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let Some(decimals) = bytes.strip_prefix(b".") else {
        return Some((0, bytes));
    };
    let count = decimals.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let micros = (0..6).fold(0, |sum, place| {
        sum * 10
            + if place < count {
                i64::from(decimals[place] - b'0')
            } else {
                0
            }
    });
    (count >= 1).then_some((micros, &decimals[count..]))
}

/// Seconds east of UTC of `Z` or `+HH:MM`.
fn zone_seconds(zone: &[u8]) -> Option<i64> {
    match zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            let seconds = i64::from(hours * 3600 + minutes * 60);
            (hours <= 23 && minutes <= 59).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn days_of_month(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Howard Hinnant's `days_from_civil`: years begin in March, so that the leap day comes last.
fn day_of_date(year: i32, month: i32, day: i32) -> Day {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`day_of_date`]: (year, month, day).
fn date_of_day(day: Day) -> (i32, i32, i32) {
    let days = day + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + i32::from(month <= 2);
    (year, month, day_of_year - (153 * march_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(time_us: i64) -> String {
        let mut out = Vec::new();
        write_time(&mut out, time_us);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_day_is_read_back_as_it_was_written() {
        for day in DAY_MIN..=DAY_MAX {
            let mut out = Vec::with_capacity(12);
            write_day(&mut out, day);
            assert_eq!(parse_day(std::str::from_utf8(&out[1..11]).unwrap()), Some(day));
        }
    }

    #[test]
    fn the_calendar_is_anchored() {
        assert_eq!(parse_day("1970-01-01"), Some(0));
        assert_eq!(parse_day("2000-03-01"), Some(11_017));
        assert_eq!(parse_day("0001-01-01"), Some(DAY_MIN));
        assert_eq!(parse_day("9999-12-31"), Some(DAY_MAX));
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for text in [
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "2026-1-01",
            "0000-01-01",
        ] {
            assert_eq!(parse_day(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_converted_to_utc_and_cut_to_microseconds() {
        assert_eq!(parse_time("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_time("1970-01-01T02:30:00.5+02:30"), Some(500_000));
        assert_eq!(parse_time("1969-12-31T23:59:59.9999999-00:00"), Some(-1));
        assert_eq!(
            written(parse_time("2026-03-01T00:30:00.000001+01:00").unwrap()),
            "\"2026-02-28T23:30:00.000001Z\""
        );
        assert_eq!(written(0), "\"1970-01-01T00:00:00Z\"");
    }

    #[test]
    fn times_without_a_zone_or_out_of_range_are_refused() {
        let bad = [
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01 00:00:00Z",
        ];
        let worse = [
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00Z",
            "0001-01-01T00:00:00+00:01",
            "2026-01-01T00:00:00+0100",
            "é026-01-01T",
        ];
        for text in bad.iter().chain(&worse) {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
