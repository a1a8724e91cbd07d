//! Tests of the walk over the words.

use super::*;

/// Walks `n` words.
fn walk(mut words: Words, n: usize) -> Words {
    let mut values = [0; MEMORY_WORDS + 1];
    values.iter_mut().take(n).for_each(|v| words.u64(v));
    words
}

#[test]
fn only_a_walk_over_every_word_fits() {
    for n in [0, MEMORY_WORDS - 1, MEMORY_WORDS, MEMORY_WORDS + 1] {
        assert_eq!(walk(Words::writer(), n).fit(), n == MEMORY_WORDS, "{n}");
        assert_eq!(walk(Words::reader([0; MEMORY_WORDS]), n).fit(), n == MEMORY_WORDS, "{n}");
    }
    // One too many is not made good by the count of words alone.
    let mut far = walk(Words::writer(), MEMORY_WORDS + 1);
    far.next = MEMORY_WORDS;
    assert!(!far.fit());
}

#[test]
fn a_number_that_must_be_finite_is_refused_otherwise_and_stays_refused() {
    for (bits, finite) in [(1.5_f32.to_bits(), true), (f32::NAN.to_bits(), false)] {
        let mut words = [0; MEMORY_WORDS];
        words[0] = bits.into();
        let (mut value, mut words) = (0.0, Words::reader(words));
        words.finite(&mut value);
        words.finite(&mut value);
        let mut rest = [0; MEMORY_WORDS - 2];
        rest.iter_mut().for_each(|v| words.u64(v));
        assert_eq!(words.fit(), finite);
    }
}

#[test]
fn values_come_back_as_they_were_and_others_are_refused() {
    let mut words = Words::writer();
    let mut values = (Some(7), None, 3_u32, true, 'b');
    let all = ['a', 'b', 'c'];
    words.option(&mut values.0);
    words.option(&mut values.1);
    words.u32(&mut values.2);
    words.bool(&mut values.3);
    words.one_of(&mut values.4, &all);
    let words = words.words();
    assert_eq!(words[..7], [1, 7, 0, 0, 3, 1, 1]);
    let mut reader = Words::reader(words);
    let mut back = (None, Some(9), 0_u32, false, 'a');
    reader.option(&mut back.0);
    reader.option(&mut back.1);
    reader.u32(&mut back.2);
    reader.bool(&mut back.3);
    reader.one_of(&mut back.4, &all);
    assert_eq!(back, values);
    for (bad, what) in [(2, "bool"), (3, "one of three"), (1 << 32, "32 bits")] {
        let mut reader = Words::reader([bad; MEMORY_WORDS]);
        match what {
            "bool" => reader.bool(&mut back.3),
            "32 bits" => reader.u32(&mut back.2),
            _ => reader.one_of(&mut back.4, &all),
        }
        assert!(!reader.fits, "{what}");
    }
    let mut writer = Words::writer();
    writer.one_of(&mut 'z', &all);
    assert!(!writer.fits, "what is not among all cannot be written");
}
