//! The wire's messages: whatever can be decoded is written again as the same message.
#![no_main]

use caril_core::{CameraSpec, Frame, Image};
use caril_link::codec::{self, Hello, Kind, Message, Refuse, Welcome};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = codec::version_of(bytes);
    let Ok((header, message)) = codec::decode(bytes) else { return };
    match message {
        Message::Hello(body) => {
            let Ok(hello) = Hello::from_body(body) else { return };
            let Ok(again) = hello.to_message() else { return };
            assert_eq!(Hello::from_body(&again[codec::HEADER_LEN..]), Ok(hello));
        }
        Message::Welcome(body) => {
            let Ok(welcome) = Welcome::from_body(body) else { return };
            let Ok(again) = welcome.to_message() else { return };
            let again = Welcome::from_body(&again[codec::HEADER_LEN..]).unwrap();
            assert_eq!(again.plant.camera, welcome.plant.camera);
        }
        Message::Refuse(body) => {
            let Ok(refuse) = Refuse::from_body(body) else { return };
            let Ok(again) = refuse.to_message() else { return };
            assert_eq!(Refuse::from_body(&again[codec::HEADER_LEN..]), Ok(refuse));
        }
        Message::Frame(view) => {
            let mut frame = Frame::for_camera(&CameraSpec { width: 1, height: 1, ..CameraSpec::PAPER });
            let room = vec![0; view.pixels.len()];
            frame.image =
                Image { width: view.width, height: view.height, order: view.order, data: room };
            if view.copy_into(&mut frame).is_err() {
                return;
            }
            let mut again = vec![0; codec::frame_len(&frame.image)];
            if codec::encode_frame(header.session, &frame, &mut again).is_ok() && frame.truth.is_some()
            {
                assert_eq!(again, bytes);
            }
        }
        Message::Command(command) => {
            assert_eq!(codec::encode_command(header.session, &command)[..], *bytes);
        }
        Message::End(reason, truth) => {
            if truth.is_some() {
                assert_eq!(codec::encode_end(header.session, reason, truth.as_ref())[..], *bytes);
            }
        }
        Message::Start | Message::Bye | Message::Ping => {
            assert!(matches!(header.kind, Kind::Start | Kind::Bye | Kind::Ping));
            assert_eq!(codec::encode_plain(header.kind, header.session)[..], *bytes);
        }
    }
});
