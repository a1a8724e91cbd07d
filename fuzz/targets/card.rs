//! A pack's card: whatever is accepted is written as a card that says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let dir = std::path::PathBuf::from(format!("/dev/shm/caril-fuzz-card-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(caril_pack::CARD_FILE), text).unwrap();
    let Ok((card, architecture)) = caril_pack::load_card(&dir) else { return };
    caril_pack::save_card(&card, &dir).unwrap();
    assert_eq!(caril_pack::load_card(&dir).unwrap(), (card, architecture));
});
