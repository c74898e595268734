//! One sample of each protocol as its link carries it, built by hand from the protocol sheets.
#![allow(dead_code, missing_docs)]

use catalogue::ProtocolRow;
use driver::frame::mllp;
use hex_literal::hex;

/// One frame of each protocol, as the link carries it.
pub fn frame(row: &ProtocolRow) -> Vec<u8> {
    match row.id {
        "ble.heart-rate" => hex!("1F 01 01 32 01 01 00 02 01 FF FF").to_vec(),
        "ble.plx-spot" => hex!("1F 6100 6000 E107 01 01 01 22 13 2000 200000 0CF1").to_vec(),
        "ble.plx-continuous" => hex!("1F BDF3 3C00 6100 3D00 6200 3E00 0000 000000 0CF1").to_vec(),
        "ble.blood-pressure" => hex!("1E 8A00 5800 7800 EA07 0B 16 0A 00 00 3C00 01 2700").to_vec(),
        "ble.thermometer" => hex!("06 B00E00FE DC07 0C 05 0B 32 1B 04").to_vec(),
        "ble.glucose" => hex!("1B 0100 E307 02 1B 0B 0A 1E FBFF 1E00 12 0501").to_vec(),
        "ble.cgm" => hex!("0F E3 D2E4 0500 02 14 FF 02F0 E5F3 8E3F 06 00 0C10 0600").to_vec(),
        "ble.weight" => hex!("0E 7038 EA07 0B 16 0A 00 00 02 E600 D606").to_vec(),
        "ble.body-composition" => hex!("FE0F FA00 EA07 0B 16 0A 00 00 FF D01B 8F01 E02E 7B2A 1027 4020 8813 7038 D606").to_vec(),
        "ge.dri" => [dri_numerics(), dri_wave()].concat(),
        "hl7.oru" => mllp(
            b"MSH|^~\\&|MON|W|||20150118143000+0000||ORU^R01^ORU_R01|id1|P|2.6|||AL|AL\rPID|||1\rPV1||I|\\S\\^^B\rOBR|1||||||20150118143000\r\
              OBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.1|97|262688^MDC_DIM_PERCENT^MDC||QUES|||R|||20150118143000.1+0100||||0123^EUI\r\
              OBX|2|NM|150021^MDC_PRESS_BLD_NONINV_SYS^MDC|1.1|120|266016^MDC_DIM_MMHG^MDC|||||R\r",
        ),
        "astm.lis2" => b"\x04\x05\x021H|\\^&|||A^1\rO|1|S1||^^^CBC\rR|1|^^^WBC|6.2|10^3/uL|4-10|N||F\rL|1\r\x0346\r\n\x04".to_vec(),
        "mindray.231" => mllp(
            b"MSH|^~\\&|||||||ORU^R01|204|P|2.3.1|\rOBX||NM|101^HR|2101|60||||||F\rOBX||NM|160^SpO2|2102|-100||||||F\r\
              OBX||NM|170^Sys|2105|120||||||F||APERIODIC|20070106191915\r",
        ),
        "philips.intellivue" => intellivue(),
        "philips.intellivue-serial" => catalogue::network::intellivue::serial::framed(&intellivue()),
        "draeger.medibus" => hex!("0124454220393820453120373020 37410d").to_vec(),
        "contec.cms50-old" | "bci.oximeter" => hex!("c6320b4a61").repeat(8),
        "contec.cms50-new" => hex!("01 80 88 C0 83 C8 E1 FF 80").repeat(8),
        "nonin.df2" => nonin(|status, value| [1, status, 100, value]),
        "nonin.df7" => nonin(|status, value| [status, 0x12, 0x34, value]),
        "masimo.ascii" => b"\r\n03/05/24 10:15:32 SN=0000070986 SPO2=098% BPM=072 PI=04.69% SPCO=--.-% ALARM=0000 EXC=000000\r\n".to_vec(),
        "nellcor.ascii" => b"\r\n12-NOV-98 14:00:05 100 120* 50 PH\r\n".to_vec(),
        other => panic!("give {other} a frame here"),
    }
}

pub fn dri_record(main: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut record = vec![0u8; 40];
    let len = i16::try_from(40 + body.len()).expect("length");
    record[..2].copy_from_slice(&len.to_le_bytes());
    record[6..10].copy_from_slice(&1_532_624_765u32.to_le_bytes());
    record[14] = main;
    record[18] = kind;
    record[21] = 0xFF;
    record.extend(body);
    catalogue::serial::ge_dri::record::framed(&record)
}

fn dri_numerics() -> Vec<u8> {
    let mut body = vec![0u8; 278];
    for at in [4, 20, 34, 76, 90, 122, 136, 150] {
        body[at] = 3;
        body[at + 4] = 1;
        body[at + 6..at + 14].copy_from_slice(&hex!("7E00 7D00 C125 AE1D"));
    }
    dri_record(0, 1, &body)
}

fn dri_wave() -> Vec<u8> {
    dri_record(1, 1, &hex!("0400 0000 0200 4FFF 7E7D 0180 6000"))
}

/// Two packets, of which the second says nothing new.
fn nonin(four: fn(u8, u8) -> [u8; 4]) -> Vec<u8> {
    let mut stream = Vec::new();
    for place in (0..25u8).chain(0..25) {
        let value = [(8, 97), (19, 1), (20, 0x16)].into_iter().find(|(at, _)| *at == place).map_or(0, |(_, value)| value);
        let four = four(0x80 | u8::from(place == 0), value);
        stream.extend(four);
        stream.push(four.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
    }
    stream
}

/// One extended-poll answer: a heart rate in an alarm state, and a cuff's three values with their time.
fn intellivue() -> Vec<u8> {
    let counted = |bytes: &[u8]| [&u16::try_from(bytes.len()).expect("length").to_be_bytes(), bytes].concat();
    let rate = hex!("0950 000A 4182 0002 0AA0 0000003C");
    let cuff =
        hex!("094B 0022 0003 001E 4A05 0000 0F20 00000078 4A06 0000 0F20 00000050 4A07 0000 0F20 0000005A 0990 0008 2017110414450000");
    let objects = [&hex!("0001 0001")[..], &counted(&rate), &hex!("0002 0002"), &counted(&cuff)].concat();
    let context = [&hex!("0000 0002")[..], &counted(&objects)].concat();
    let list = [&hex!("0001")[..], &counted(&context)].concat();
    let answer = [&hex!("0001 0000 0D617300 FFFFFFFFFFFFFFFF 0001 0006 0000")[..], &list].concat();
    let action = [&hex!("0021 0000 0000 F13B")[..], &counted(&answer)].concat();
    let result = [&hex!("0001 0007")[..], &counted(&action)].concat();
    [&hex!("E1000002 0002")[..], &counted(&result)].concat()
}
