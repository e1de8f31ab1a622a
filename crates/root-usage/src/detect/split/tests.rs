use super::*;

/// What is found in a stream that comes in portions.
#[derive(Default)]
struct Found {
    values: Vec<String>,
    around: Vec<String>,
    flaws: Vec<Flaw>,
    end: Option<Flaw>,
}

fn split(stream: &str, portion: usize) -> Found {
    let mut found = Found::default();
    let mut splitter = Splitter::new(&["Records", "Events", "events"]);
    let mut buffer = Vec::new();
    let mut each = |piece: Piece<'_>| {
        let text = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        match piece {
            Piece::Value { text: value, escapes, .. } => {
                assert!(escapes || !text(value).contains("\\u"));
                found.values.push(text(value));
            }
            Piece::Text { text: value, .. } => found.values.push(text(value)),
            Piece::Around { text: around, .. } => found.around.push(text(around)),
            Piece::Flaw { flaw, .. } => found.flaws.push(flaw),
        }
        true
    };
    let mut result = Ok(());
    for part in stream.as_bytes().chunks(portion) {
        buffer.extend_from_slice(part);
        result = result.and_then(|()| splitter.scan(&buffer, false, &mut each));
        let kept = splitter.kept();
        buffer.drain(..kept);
        splitter.shift(kept);
    }
    found.end = result.and_then(|()| splitter.scan(&buffer, true, &mut each)).err();
    found
}

#[test]
fn records_are_found_wherever_they_stand() {
    let a = r#"{"a":"}{][\"\\","b":[[1],{"Records":[2]}]}"#;
    let b = r#"{"x\"Records":[{"c":1}],"d":",\"Records\":["}"#;
    for (stream, around) in [
        (format!("{a}{b}"), &[][..]),
        (format!("{a}\n{b}\n"), &[]),
        (format!(" [\n {a} , {b}]\n"), &[]),
        (format!("2026-11-20T02:51:00.000Z {a}\n2026-11-20T02:51:00.000Z s\n{b}\n"), &[]),
        (format!(r#"{{"Records":[{a},{b}]}}"#), &[r#"{"Records":[]}"#]),
        (format!(r#"{{"Events":[{a}]}}{{"Records":[{b}]}}"#), &[r#"{"Events":[]}"#, r#"{"Records":[]}"#]),
        (
            format!(r#"{{"x":[1,{{}}],"Records" : [ {a}, {b} ] , "y":["Records"]}}"#),
            &[r#"{"x":[1,{}],"Records" : [] , "y":["Records"]}"#],
        ),
        (format!(r#"{{"Events":[{a}],"events":[{b}],"z":0}}"#), &[r#"{"Events":[],"events":[],"z":0}"#]),
        (format!(r#"[{{"Records":[{a}]}},{b}]"#), &[r#"{"Records":[]}"#]),
        (format!(r#"[{a}][] [{b}]{{"Records":[]}}"#), &[r#"{"Records":[]}"#]),
    ] {
        for portion in [1, 7, 63, 64, 65, 1000] {
            let found = split(&stream, portion);
            assert_eq!((found.flaws, found.end), (vec![], None), "{stream}");
            assert_eq!(found.values, [a, b], "{stream}");
            assert_eq!(found.around, around, "{stream}");
        }
    }
}

#[test]
fn strings_are_found_like_records() {
    for stream in
        [r#"["a\"]{", {}, "b"]"#, "\"a\\\"]{\"\n{}\n\"b\"", r#"{"Records":["a\"]{",{},"b"]}"#, r#"["a\"]{",{},"b"]"#]
    {
        for portion in [1, 7, 1000] {
            let found = split(stream, portion);
            assert_eq!((found.flaws, found.end), (vec![], None), "{stream}");
            assert_eq!(found.values, [r#""a\"]{""#, "{}", r#""b""#], "{stream}");
        }
    }
}

#[test]
fn an_object_that_looks_like_a_record_is_whole() {
    let record = r#"{"userIdentity":{"type":"Root"},"Records":[{"a":1}]}"#;
    assert_eq!(split(record, 7).values, [record]);
}

#[test]
fn what_is_wrong_is_told() {
    use Flaw::{Bracket, BreaksOff, Stray};
    for (stream, values, flaws, end) in [
        ("", 0, &[][..], None),
        ("text", 0, &[], Some(Stray)),
        ("{} x {}", 1, &[], Some(Stray)),
        ("{}}", 1, &[], Some(Bracket)),
        ("{\"a\":1", 0, &[], Some(BreaksOff)),
        ("\"", 0, &[], Some(Stray)),
        ("[{},1,{}]", 2, &[Stray], None),
        ("[{},{\"a\":\"", 1, &[BreaksOff], None),
        ("{\"Records\":[{},{}", 2, &[BreaksOff], None),
        ("{\"Records\":[{}}{}", 1, &[Bracket], Some(BreaksOff)),
        ("2026-11-20T02:51:00.000Z", 0, &[], Some(Stray)),
    ] {
        for portion in [1, 64, 1000] {
            let found = split(stream, portion);
            assert_eq!((found.values.len(), &found.flaws[..], found.end), (values, flaws, end), "{stream}");
        }
    }
}

#[test]
fn what_stands_around_records_is_bounded() {
    let stream = r#""Records":[],"#.repeat(AROUND_MAX / 10);
    let found = split(&format!("{{{stream}\"a\":1}}"), 1 << 16);
    assert_eq!((found.around.len(), found.flaws), (0, vec![Flaw::TooLong]));
}

#[test]
fn backslashes_count_across_blocks() {
    for length in 50..80 {
        for end in [r#"\\"#, r#"\\\""#, r#"\\\\\\"#] {
            let a = format!("{{\"a\":\"{}{end}\"}}", "x".repeat(length));
            let found = split(&format!("{a}{{\"b\":\"}}\"}}"), 1000);
            assert_eq!((found.values.len(), found.flaws.len(), found.end), (2, 0, None), "{a}");
            assert_eq!(found.values[0], a);
        }
    }
}
