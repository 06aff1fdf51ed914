use super::*;
use std::io::Write;

fn line(number: usize) -> String {
    let time = Timestamp::from_nanos(number as u64 * 1_000_000_000);
    format!("{{\"log\":\"{number}\\n\",\"stream\":\"stdout\",\"time\":\"{time}\"}}\n")
}

fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(line).collect()
}

/// A frame of the driver `local`, as monitors write it.
fn frame(number: usize) -> Vec<u8> {
    let text = format!("{number}\n");
    let length = u32::try_from(9 + text.len()).unwrap().to_le_bytes();
    let nanos = (number as u64 * 1_000_000_000).to_le_bytes();
    [&length[..], &[0x10], &nanos, text.as_bytes(), &length].concat()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn texts(reader: &mut LogReader) -> Vec<usize> {
    let mut texts = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        let mut text = Vec::new();
        record.push_text(&mut text);
        texts.push(String::from_utf8(text).unwrap().trim_end().parse().unwrap());
    }
    texts
}

fn read(path: &Path, request: LogRequest) -> Vec<usize> {
    let format = match path.ends_with("log.local") {
        true => Format::Local,
        false => Format::Json,
    };
    texts(&mut LogReader::open(path, format, request).unwrap())
}

fn tail(records: usize) -> LogRequest {
    LogRequest {
        tail: Some(records),
        ..LogRequest::default()
    }
}

fn between(since: usize, until: usize) -> LogRequest {
    let moment = |number: usize| Some(Timestamp::from_nanos(number as u64 * 1_000_000_000));
    LogRequest {
        tail: None,
        since: moment(since),
        until: moment(until),
    }
}

fn range(numbers: std::ops::Range<usize>) -> Vec<usize> {
    numbers.collect()
}

/// Files of 5,000 records in each of which the older ones are compressed or missing.
#[test]
fn tails_and_times_across_files() {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("log.json");
    let frames = |numbers: std::ops::Range<usize>| numbers.flat_map(frame).collect::<Vec<u8>>();
    let local = dir.path().join("log.local");
    let file = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    // A gap in the numbers: a turn that was killed.
    file("log.json.4.gz", &packed(lines(0..5000).as_bytes()));
    file("log.json.2", lines(5000..10_000).as_bytes());
    file("log.json.1", lines(10_000..15_000).as_bytes());
    file("log.json", lines(15_000..20_000).as_bytes());
    file("log.local.2.gz", &packed(&frames(0..10_000)));
    file("log.local.1", &frames(10_000..15_000));
    file("log.local", &frames(15_000..20_000));
    for path in [&json, &local] {
        assert_eq!(read(path, LogRequest::default()), range(0..20_000));
        for count in [0, 1, 2, 4999, 5000, 5001, 14_999, 15_001, 19_999] {
            assert_eq!(
                read(path, tail(count)),
                range(20_000 - count..20_000),
                "{count}"
            );
        }
        assert_eq!(read(path, tail(99_999)), range(0..20_000));
        for (since, until) in [(0, 3), (4999, 5001), (7777, 12_345), (19_999, 30_000)] {
            let wanted = range(since..(until + 1).min(20_000));
            assert_eq!(read(path, between(since, until)), wanted, "{since} {until}");
        }
        assert!(read(path, between(20_001, 30_000)).is_empty());
    }
}

#[test]
fn no_log_is_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.json");
    let mut reader = LogReader::open(&path, Format::Json, tail(3)).unwrap();
    assert!(texts(&mut reader).is_empty());
    std::fs::write(&path, lines(0..2)).unwrap();
    reader.refresh().unwrap();
    assert_eq!(texts(&mut reader), [0, 1]);
}

#[test]
fn what_is_torn_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("log.json");
    std::fs::write(&json, line(1) + "{\"log\":\"2\n" + &line(3) + "{\"log\":").unwrap();
    assert_eq!(read(&json, LogRequest::default()), [1, 3]);
    let local = dir.path().join("log.local");
    let torn = [frame(1), frame(2), frame(3)].concat();
    std::fs::write(&local, &torn[..torn.len() - 3]).unwrap();
    assert_eq!(read(&local, LogRequest::default()), [1, 2]);
    assert_eq!(read(&local, tail(5)), [1, 2]);
}

/// A compressed file beside the plain one it was made of: a crash before that was removed.
#[test]
fn a_file_in_two_forms_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.json");
    std::fs::write(
        dir.path().join("log.json.2.gz"),
        packed(lines(0..3).as_bytes()),
    )
    .unwrap();
    std::fs::write(dir.path().join("log.json.1"), lines(0..3)).unwrap();
    std::fs::write(&path, lines(3..4)).unwrap();
    assert_eq!(read(&path, LogRequest::default()), range(0..4));
}

/// Whatever happens between two looks: turns, compression, removal, emptying.
#[test]
fn a_growing_log_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.json");
    let append = |name: &str, text: String| {
        let mut options = File::options();
        let file = options
            .append(true)
            .create(true)
            .open(dir.path().join(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    };
    let name = |name: &str| dir.path().join(name);
    append("log.json", lines(0..2));
    let mut reader = LogReader::open(&path, Format::Json, LogRequest::default()).unwrap();
    assert_eq!(texts(&mut reader), [0, 1]);
    // Half a line, then the other half.
    append("log.json", line(2)[..20].to_owned());
    assert!(texts(&mut reader).is_empty());
    append("log.json", line(2)[20..].to_owned());
    assert_eq!(texts(&mut reader), [2]);
    // Half a line that its writer's successor cuts off.
    let whole = path.metadata().unwrap().len();
    append("log.json", line(9)[..20].to_owned());
    assert!(texts(&mut reader).is_empty());
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(whole).unwrap();
    reader.refresh().unwrap();
    assert!(texts(&mut reader).is_empty());
    // The rest of the old file is read, then the new one, which may be empty first.
    append("log.json", line(3));
    std::fs::rename(&path, name("log.json.1")).unwrap();
    reader.refresh().unwrap();
    assert_eq!(texts(&mut reader), [3]);
    append("log.json", String::new());
    reader.refresh().unwrap();
    assert!(texts(&mut reader).is_empty());
    append("log.json", line(4));
    reader.refresh().unwrap();
    assert_eq!(texts(&mut reader), [4]);
    // Two turns between two looks, the first of them compressed.
    append("log.json", line(5));
    std::fs::rename(name("log.json.1"), name("log.json.3")).unwrap();
    std::fs::write(
        name("log.json.2.gz"),
        packed(&std::fs::read(&path).unwrap()),
    )
    .unwrap();
    std::fs::remove_file(&path).unwrap();
    append("log.json.1", lines(6..8));
    append("log.json", lines(8..9));
    reader.refresh().unwrap();
    assert_eq!(texts(&mut reader), [5, 6, 7, 8]);
    // Removed and made anew; emptied.
    std::fs::remove_file(&path).unwrap();
    reader.refresh().unwrap();
    assert!(texts(&mut reader).is_empty());
    append("log.json", line(9));
    reader.refresh().unwrap();
    assert_eq!(texts(&mut reader), [9]);
    std::fs::write(&path, "").unwrap();
    reader.refresh().unwrap();
    append("log.json", line(10));
    reader.refresh().unwrap();
    assert_eq!(texts(&mut reader), [10]);
}

#[test]
fn nothing_is_wanted_after_the_last_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.json");
    std::fs::write(&path, lines(0..5)).unwrap();
    let mut reader = LogReader::open(&path, Format::Json, between(1, 3)).unwrap();
    assert_eq!(texts(&mut reader), [1, 2, 3]);
    assert!(reader.is_over());
}

/// Turns a log of at most three files: 0 is the newest.
fn turn(path: &Path, numbers: std::ops::Range<usize>) {
    let named = |number: usize| series::named(path, &number.to_string());
    drop(std::fs::rename(named(1), named(2)));
    drop(std::fs::rename(path, named(1)));
    std::fs::write(path, lines(numbers)).unwrap();
}

#[test]
fn who_looks_in_time_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.json");
    std::fs::write(&path, lines(0..10)).unwrap();
    let mut reader = LogReader::open(&path, Format::Json, LogRequest::default()).unwrap();
    assert!(reader.next_record().unwrap().is_some());
    // As the thread does.
    for number in 1..=10 {
        turn(&path, number * 10..number * 10 + 10);
        locked(&reader.ahead).look().unwrap();
    }
    reader.refresh().unwrap();
    assert_eq!(texts(&mut reader), range(1..110));
    assert_eq!(reader.gap(), None);
}

#[test]
fn what_is_missing_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.json");
    std::fs::write(&path, lines(0..10)).unwrap();
    let mut reader = LogReader::open(&path, Format::Json, LogRequest::default()).unwrap();
    for number in 1..=25 {
        turn(&path, number * 10..number * 10 + 10);
        locked(&reader.ahead).look().unwrap();
    }
    reader.refresh().unwrap();
    for number in range(0..170).into_iter().chain(230..260) {
        let record = reader.next_record().unwrap().unwrap();
        let mut text = Vec::new();
        record.push_text(&mut text);
        assert_eq!(text, format!("{number}\n").as_bytes());
        let gap = reader.gap().map(|gap| gap.to_string());
        let bytes = lines(170..230).len();
        let said = format!(
            "6 files of {bytes} bytes are missing here, between 1970-01-01T00:02:50.000000000Z and 1970-01-01T00:03:50.000000000Z"
        );
        assert_eq!(gap, (number == 230).then_some(said));
    }
}

#[test]
fn files_that_went_unseen_are_told_of_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.json");
    std::fs::write(&path, lines(0..10)).unwrap();
    let mut reader = LogReader::open(&path, Format::Json, LogRequest::default()).unwrap();
    for number in 1..=5 {
        turn(&path, number * 10..number * 10 + 10);
    }
    reader.refresh().unwrap();
    for _ in 0..10 {
        assert!(reader.next_record().unwrap().is_some());
        assert_eq!(reader.gap(), None);
    }
    assert!(reader.next_record().unwrap().is_some());
    let said = "files of it may be missing here, gone before they could be opened, between 1970-01-01T00:00:00.000000000Z and 1970-01-01T00:00:30.000000000Z";
    assert_eq!(reader.gap().unwrap().to_string(), said);
    assert_eq!(texts(&mut reader), range(31..60));
    // One that somebody removes is not turned.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, lines(60..70)).unwrap();
    reader.refresh().unwrap();
    assert_eq!(texts(&mut reader), range(60..70));
    assert_eq!(reader.gap(), None);
}
