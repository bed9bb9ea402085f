// RecordReader and RecordWriter by themselves: published vectors, every refusal, every limit.
#include "tls/record/record.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "tests/tls/record/rfc8448.h"
#include "tests/tls/support.h"

namespace ktlsim::tls::test {
namespace {

using Outcome = OpenResult::Outcome;

Buffer AsBuffer(const std::vector<std::uint8_t>& bytes) {
  Buffer buffer(bytes.size());
  std::memcpy(buffer.data(), bytes.data(), bytes.size());
  return buffer;
}

ProtectionState State(CipherSuite suite, RecordLimits limits, AeadFactory engine) {
  ProtectionState state;
  state.aead_factory = engine;
  state.suite = FindSuite(static_cast<std::uint16_t>(suite));
  state.limits = limits;
  if (state.suite->version == Version::kTls13) {
    state.traffic_secret = Secret(std::vector<std::uint8_t>(HashBytes(state.suite->hash), 42));
  } else {
    state.keys.key = Secret(std::vector<std::uint8_t>(state.suite->key_bytes, 42));
    state.keys.iv = Secret(std::vector<std::uint8_t>(12, 43));
    state.explicit_nonce = UINT64_MAX - 1;  // it wraps, which is allowed
    state.sequence_number = 1;
  }
  return state;
}

ProtectionState Rfc8448State(std::string_view secret, std::uint64_t sequence_number) {
  ProtectionState state;
  state.suite = FindSuite(0x1301);
  state.traffic_secret = Secret(Hex(secret));
  state.sequence_number = sequence_number;
  return state;
}

// A writer and the reader of the same direction.
struct Pair {
  RecordWriter writer;
  RecordReader reader;
  explicit Pair(CipherSuite suite = CipherSuite::kAes128GcmSha256, RecordLimits limits = {},
                AeadFactory engine = ChosenAead().factory) {
    EXPECT_TRUE(writer.Init(State(suite, limits, engine)));
    EXPECT_TRUE(reader.Init(State(suite, limits, engine)));
  }
  Buffer Seal(std::size_t size, ContentType type = ContentType::kApplicationData) {
    Buffer record(writer.header_bytes() + size + writer.trailer_bytes());
    const std::span<std::byte> all(record);
    std::ranges::fill(all.subspan(writer.header_bytes(), size), std::byte{0x61});
    last =
        writer
            .Seal(type, all.first(writer.header_bytes()), all.subspan(writer.header_bytes(), size),
                  all.subspan(writer.header_bytes() + size))
            .outcome;
    return record;
  }
  // TLS 1.3: a whole inner plaintext, with type and padding.
  Buffer SealInner(std::vector<std::uint8_t> inner) {
    RecordProtection& protection = writer.protection_for_test();
    Buffer record(5 + inner.size() + 16);
    const std::size_t length = inner.size() + 16;
    const std::uint8_t header[5] = {23, 3, 3, static_cast<std::uint8_t>(length >> 8),
                                    static_cast<std::uint8_t>(length)};
    std::memcpy(record.data(), header, 5);
    std::ranges::copy(std::as_bytes(std::span(inner)), record.begin() + 5);
    EXPECT_TRUE(protection.aead()->Seal(protection.ImplicitNonce(), header,
                                        std::span(record).subspan(5, inner.size()), {},
                                        std::span(record).last<16>()));
    protection.Advance();
    return record;
  }
  SealOutcome last = SealOutcome::kSealed;
};

void ExpectRefused(RecordReader& reader, Buffer wire, AlertDescription description) {
  const OpenResult result = reader.Open(wire);
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.alert, FatalAlert(description)) << AlertName(result.alert.description);
  EXPECT_EQ(result.consumed, 0U);
  EXPECT_TRUE(reader.closed());
  EXPECT_EQ(reader.Open(wire).outcome, Outcome::kFailed) << "also later";
}

TEST(RecordReaderTest, OpensTheRecordsOfRfc8448) {
  for (const auto& [secret, record, alert, first] :
       {std::tuple{kClientTrafficSecret, kClientRecord, kClientAlertRecord, 0U},
        std::tuple{kServerTrafficSecret, kServerRecord, kServerAlertRecord, 1U}}) {
    RecordReader reader;
    ASSERT_TRUE(reader.Init(Rfc8448State(secret, first)));
    Buffer wire = AsBuffer(Hex(record));
    const OpenResult opened = reader.Open(wire);
    ASSERT_EQ(opened.outcome, Outcome::kOpened);
    EXPECT_EQ(opened.type, ContentType::kApplicationData);
    ASSERT_EQ(opened.fragment.size(), 50U);
    for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(opened.fragment[i], std::byte(i));
    Buffer alert_wire = AsBuffer(Hex(alert));
    EXPECT_EQ(reader.Open(alert_wire).outcome, Outcome::kAlert);
    EXPECT_TRUE(reader.received_close_notify());
  }
}

TEST(RecordWriterTest, SealsTheRecordsOfRfc8448) {
  RecordWriter writer;
  ASSERT_TRUE(writer.Init(Rfc8448State(kClientTrafficSecret, 0)));
  Buffer record(5 + 50 + 17);
  for (std::size_t i = 0; i < 50; ++i) record[5 + i] = std::byte(i);
  const std::span<std::byte> all(record);
  const SealResult sealed =
      writer.Seal(ContentType::kApplicationData, all.first(5), all.subspan(5, 50), all.subspan(55));
  ASSERT_EQ(sealed.outcome, SealOutcome::kSealed);
  EXPECT_EQ(sealed.header_used, 5U);
  EXPECT_EQ(sealed.trailer_used, 17U);
  EXPECT_EQ(record, AsBuffer(Hex(kClientRecord)));
  Buffer alert(RecordWriter::kControlRecordBytesMax);
  std::size_t used = 0;
  ASSERT_EQ(writer.SealAlert(kCloseNotifyAlert, alert, used), SealOutcome::kSealed);
  alert.resize(used);
  EXPECT_EQ(alert, AsBuffer(Hex(kClientAlertRecord)));
}

// Every suite on every engine that this machine has.
class RecordPairTest : public testing::TestWithParam<std::tuple<CipherSuite, Engine>> {
 protected:
  CipherSuite suite() const { return std::get<0>(GetParam()); }
  Pair Make(RecordLimits limits = {}) const {
    return Pair(suite(), limits, std::get<1>(GetParam()).factory);
  }
};

TEST_P(RecordPairTest, OpensWhatTheWriterSealed) {
  Pair pair = Make();
  for (const std::size_t size : kSizes) {
    Buffer wire = pair.Seal(size);
    const std::size_t bytes = wire.size();
    EXPECT_EQ(RecordReader::RecordBytes(wire), bytes);
    wire.resize(bytes + 100, std::byte{0xff});  // the beginning of the next record
    const OpenResult opened = pair.reader.Open(wire);
    ASSERT_EQ(opened.outcome, Outcome::kOpened) << size;
    EXPECT_EQ(opened.consumed, bytes);
    EXPECT_EQ(opened.header_bytes, pair.writer.header_bytes());
    EXPECT_EQ(opened.trailer_bytes, pair.writer.trailer_bytes());
    ASSERT_EQ(opened.fragment.size(), size);
    EXPECT_TRUE(
        std::ranges::all_of(opened.fragment, [](std::byte b) { return b == std::byte{0x61}; }));
  }
}

TEST_P(RecordPairTest, AsksForTheRestOfACutRecord) {
  Pair pair = Make();
  const Buffer wire = pair.Seal(100);
  for (std::size_t size = 0; size < wire.size(); ++size) {
    Buffer cut(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(size));
    const Buffer before = cut;
    const OpenResult result = pair.reader.Open(cut);
    ASSERT_EQ(result.outcome, Outcome::kNeedMore) << size;
    EXPECT_EQ(result.consumed, 0U);
    EXPECT_EQ(result.missing, size < 5 ? 5 - size : wire.size() - size);
    EXPECT_EQ(cut, before);
  }
  Buffer whole = wire;
  EXPECT_EQ(pair.reader.Open(whole).outcome, Outcome::kOpened);
}

TEST_P(RecordPairTest, RefusesEveryFlippedBit) {
  const bool tls13 = FindSuite(static_cast<std::uint16_t>(suite()))->version == Version::kTls13;
  Pair sealer = Make();
  const Buffer wire = sealer.Seal(40);
  for (std::size_t i = 0; i < wire.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      Pair pair = Make();
      Buffer flipped = wire;
      flipped[i] ^= std::byte(1 << bit);
      // With a longer length it is an incomplete record.
      flipped.resize(5 + 65535);
      const OpenResult result = pair.reader.Open(flipped);
      ASSERT_EQ(result.outcome, Outcome::kFailed) << i << ' ' << bit;
      if (i >= 5 || (!tls13 && i == 0 && bit < 2)) {
        const bool known = i >= 5 || flipped[0] != std::byte{20};
        ASSERT_EQ(result.alert.description,
                  known ? AlertDescription::kBadRecordMac : AlertDescription::kUnexpectedMessage);
      }
      if (i >= 5) {
        ASSERT_TRUE(std::ranges::all_of(std::span(flipped).first(wire.size()), [](std::byte b) {
          return b == std::byte{0};
        })) << "plaintext was left in memory";
      }
    }
  }
}

TEST_P(RecordPairTest, RefusesAReplayAndAGap) {
  Pair pair = Make();
  const Buffer first = pair.Seal(10);
  Buffer wire = first;
  ASSERT_EQ(pair.reader.Open(wire).outcome, Outcome::kOpened);
  ExpectRefused(pair.reader, first, AlertDescription::kBadRecordMac);
  Pair other = Make();
  other.Seal(10);
  ExpectRefused(other.reader, other.Seal(10), AlertDescription::kBadRecordMac);
}

TEST_P(RecordPairTest, RefusesRecordShorterThanTag) {
  for (std::size_t size = 0; size < 16; ++size) {
    Pair pair = Make();
    Buffer wire(5 + size);
    wire[0] = std::byte{23};
    wire[1] = wire[2] = std::byte{3};
    wire[4] = std::byte(size);
    ExpectRefused(pair.reader, wire, AlertDescription::kBadRecordMac);
  }
}

TEST_P(RecordPairTest, RefusesAnOversizeRecordByItsHeader) {
  const bool tls13 = FindSuite(static_cast<std::uint16_t>(suite()))->version == Version::kTls13;
  const std::size_t length = (tls13 ? kTls13CiphertextBytesMax : kTls12CiphertextBytesMax) + 1;
  Pair pair = Make();
  const Buffer wire = {std::byte{23}, std::byte{3}, std::byte{3}, std::byte(length >> 8),
                       std::byte(length & 0xff)};
  ExpectRefused(pair.reader, wire, AlertDescription::kRecordOverflow);
}

// The header's bound leaves room for a nonce that ChaCha20-Poly1305 records do not have.
TEST(RecordReaderTest, RefusesAPlaintextOverTheLimitOfTls12) {
  for (const CipherSuite suite :
       {CipherSuite::kEcdheRsaAes128GcmSha256, CipherSuite::kEcdheRsaChaCha20Poly1305}) {
    Pair pair(suite);
    const std::size_t nonce = pair.writer.header_bytes() - kRecordHeaderBytes;
    const std::size_t length = nonce + kFragmentBytesMax + 1 + kAeadTagBytes;
    Buffer wire(kRecordHeaderBytes + length);
    wire[0] = std::byte{23};
    wire[1] = wire[2] = std::byte{3};
    wire[3] = std::byte(length >> 8);
    wire[4] = std::byte(length & 0xff);
    ExpectRefused(pair.reader, wire, AlertDescription::kRecordOverflow);
  }
}

TEST_P(RecordPairTest, BoundsRunsOfEmptyRecords) {
  RecordLimits limits;
  limits.empty_records = 3;
  Pair pair = Make(limits);
  for (int run = 0; run < 2; ++run) {
    for (int i = 0; i < 3; ++i) {
      Buffer wire = pair.Seal(0);
      ASSERT_EQ(pair.reader.Open(wire).outcome, Outcome::kOpened);
    }
    if (run == 0) {
      Buffer wire = pair.Seal(1);
      ASSERT_EQ(pair.reader.Open(wire).outcome, Outcome::kOpened);
    }
  }
  ExpectRefused(pair.reader, pair.Seal(0), AlertDescription::kUnexpectedMessage);
}

TEST_P(RecordPairTest, BoundsRunsOfControlRecords) {
  RecordLimits limits;
  limits.control_records = 3;
  Pair pair = Make(limits);
  for (int i = 0; i < 3; ++i) {
    Buffer wire = pair.Seal(10, ContentType::kHandshake);
    ASSERT_EQ(pair.reader.Open(wire).outcome, Outcome::kOpened);
  }
  ExpectRefused(pair.reader, pair.Seal(10, ContentType::kHandshake),
                AlertDescription::kUnexpectedMessage);
}

TEST_P(RecordPairTest, TheLastSequenceNumberIsNeverUsed) {
  RecordLimits limits;
  limits.records_per_key = UINT64_MAX;
  Pair pair = Make(limits);
  pair.writer.protection_for_test().set_sequence_number(UINT64_MAX - 1);
  pair.reader.protection_for_test().set_sequence_number(UINT64_MAX - 1);
  Buffer wire = pair.Seal(1);
  ASSERT_EQ(pair.last, SealOutcome::kSealed);
  ASSERT_EQ(pair.reader.Open(wire).outcome, Outcome::kOpened);
  pair.Seal(1);
  EXPECT_EQ(pair.last, SealOutcome::kLimitReached);
  ExpectRefused(pair.reader, wire, AlertDescription::kInternalError);
}

TEST_P(RecordPairTest, WriterChecksLengthsBeforeItTouchesAnything) {
  Pair pair = Make();
  const std::uint64_t before = pair.writer.sequence_number();
  pair.Seal(kFragmentBytesMax + 1);
  EXPECT_EQ(pair.last, SealOutcome::kBadLength);
  pair.Seal(0, ContentType::kHandshake);
  EXPECT_EQ(pair.last, SealOutcome::kBadLength);
  Buffer data(1);
  Buffer header(pair.writer.header_bytes() - 1);
  Buffer trailer(pair.writer.trailer_bytes());
  EXPECT_EQ(pair.writer.Seal(ContentType::kApplicationData, header, data, trailer).outcome,
            SealOutcome::kNoSpace);
  EXPECT_EQ(data[0], std::byte{0});
  EXPECT_EQ(pair.writer.sequence_number(), before);
}

TEST_P(RecordPairTest, NothingIsWrittenAfterCloseNotify) {
  Pair pair = Make();
  Buffer alert(RecordWriter::kControlRecordBytesMax);
  std::size_t used = 0;
  ASSERT_EQ(pair.writer.SealAlert(kCloseNotifyAlert, alert, used), SealOutcome::kSealed);
  pair.Seal(1);
  EXPECT_EQ(pair.last, SealOutcome::kClosed);
  alert.resize(used);
  const OpenResult result = pair.reader.Open(alert);
  EXPECT_EQ(result.outcome, Outcome::kAlert);
  EXPECT_EQ(result.alert, kCloseNotifyAlert);
  EXPECT_EQ(result.consumed, used);
  const OpenResult again = pair.reader.Open(alert);
  EXPECT_EQ(again.outcome, Outcome::kAlert);
  EXPECT_EQ(again.consumed, 0U);
}

TEST_P(RecordPairTest, IgnoresWarningsAndEndsAtFatalAlerts) {
  Pair pair = Make();
  Buffer alert(RecordWriter::kControlRecordBytesMax);
  std::size_t used = 0;
  pair.writer.SealAlert({AlertLevel::kWarning, AlertDescription::kUserCanceled}, alert, used);
  alert.resize(used);
  EXPECT_EQ(pair.reader.Open(alert).outcome, Outcome::kIgnored);
  alert.resize(RecordWriter::kControlRecordBytesMax);
  pair.writer.SealAlert(FatalAlert(AlertDescription::kBadRecordMac), alert, used);
  alert.resize(used);
  const OpenResult result = pair.reader.Open(alert);
  EXPECT_EQ(result.outcome, Outcome::kAlert);
  EXPECT_EQ(result.alert, FatalAlert(AlertDescription::kBadRecordMac));
  EXPECT_FALSE(pair.reader.received_close_notify());
}

TEST_P(RecordPairTest, RefusesAlertsOfAnotherLength) {
  for (const std::size_t size : {1U, 3U}) {
    Pair pair = Make();
    ExpectRefused(pair.reader, pair.Seal(size, ContentType::kAlert),
                  AlertDescription::kDecodeError);
  }
}

TEST_P(RecordPairTest, RefusesChangeCipherSpecAfterTheHandshake) {
  Pair pair = Make();
  const Buffer wire = {std::byte{20}, std::byte{3}, std::byte{3},
                       std::byte{0},  std::byte{1}, std::byte{1}};
  ExpectRefused(pair.reader, wire, AlertDescription::kUnexpectedMessage);
}

TEST_P(RecordPairTest, RefusesAnotherVersion) {
  for (const std::size_t place : {1U, 2U}) {
    Pair pair = Make();
    Buffer wire = pair.Seal(1);
    wire[place] = std::byte{4};
    ExpectRefused(pair.reader, wire, AlertDescription::kProtocolVersion);
  }
}

TEST_P(RecordPairTest, EveryForgeryLooksTheSameToThePeer) {
  const auto refusal = [this](auto harm) {
    Pair pair = Make();
    Buffer wire = pair.Seal(40);
    harm(pair, wire);
    const OpenResult result = pair.reader.Open(wire);
    EXPECT_EQ(result.outcome, Outcome::kFailed);
    EXPECT_EQ(result.consumed, 0U);
    EXPECT_TRUE(result.fragment.empty());
    return result.alert;
  };
  const Alert expected = FatalAlert(AlertDescription::kBadRecordMac);
  const auto shorten = [](Buffer& wire, std::size_t bytes) {
    wire.resize(wire.size() - bytes);
    wire[4] = static_cast<std::byte>(wire.size() - 5);
  };
  EXPECT_EQ(
      refusal([](Pair&, Buffer& wire) { wire.front() = std::byte{23}, wire[20] ^= std::byte{1}; }),
      expected)
      << "content";
  EXPECT_EQ(refusal([](Pair&, Buffer& wire) { wire.back() ^= std::byte{1}; }), expected) << "tag";
  EXPECT_EQ(refusal([&](Pair&, Buffer& wire) { shorten(wire, 1); }), expected) << "cut";
  EXPECT_EQ(refusal([&](Pair&, Buffer& wire) { shorten(wire, wire.size() - 6); }), expected)
      << "no room for a tag";
  EXPECT_EQ(refusal([](Pair& pair, Buffer&) { pair.reader.protection_for_test().Advance(); }),
            expected)
      << "another sequence number";
}

TEST_P(RecordPairTest, ARefusedRecordIsWiped) {
  for (const std::size_t size : kSizes) {
    Pair pair = Make();
    Buffer wire = pair.Seal(size);
    wire.back() ^= std::byte{0x80};
    ASSERT_EQ(pair.reader.Open(wire).outcome, Outcome::kFailed);
    EXPECT_TRUE(std::ranges::all_of(wire, [](std::byte b) { return b == std::byte{0}; })) << size;
  }
}

INSTANTIATE_TEST_SUITE_P(Suites, RecordPairTest,
                         testing::Combine(testing::Values(CipherSuite::kAes128GcmSha256,
                                                          CipherSuite::kAes256GcmSha384,
                                                          CipherSuite::kChaCha20Poly1305Sha256,
                                                          CipherSuite::kEcdheRsaAes128GcmSha256,
                                                          CipherSuite::kEcdheRsaAes256GcmSha384,
                                                          CipherSuite::kEcdheRsaChaCha20Poly1305),
                                          testing::ValuesIn(Engines())),
                         [](const auto& test) {
                           const auto id = static_cast<std::uint16_t>(std::get<0>(test.param));
                           return std::string(FindSuite(id)->standard_name) + "_" +
                                  std::get<1>(test.param).name;
                         });

// TLS 1.3's inner plaintexts (RFC 8446 5.4), on every engine.
class InnerPlaintextTest : public testing::TestWithParam<Engine> {
 protected:
  Pair Make() const { return Pair(CipherSuite::kAes128GcmSha256, {}, GetParam().factory); }
};
INSTANTIATE_TEST_SUITE_P(Engines, InnerPlaintextTest, testing::ValuesIn(Engines()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(InnerPlaintextTest, StripsPadding) {
  for (const std::size_t padded : {4U, 5U, 300U, 16385U}) {
    Pair pair = Make();
    std::vector<std::uint8_t> inner = {'h', 'i', 0, 23};
    inner.resize(padded, 0);
    Buffer wire = pair.SealInner(inner);
    const OpenResult opened = pair.reader.Open(wire);
    ASSERT_EQ(opened.outcome, Outcome::kOpened) << padded;
    ASSERT_EQ(opened.fragment.size(), 3U);
    EXPECT_EQ(opened.header_bytes + opened.fragment.size() + opened.trailer_bytes, wire.size());
  }
}

TEST_P(InnerPlaintextTest, AnEmptyOneMayBePadded) {
  Pair pair = Make();
  std::vector<std::uint8_t> inner = {23};
  inner.resize(1000, 0);
  Buffer wire = pair.SealInner(inner);
  const OpenResult opened = pair.reader.Open(wire);
  ASSERT_EQ(opened.outcome, Outcome::kOpened);
  EXPECT_TRUE(opened.fragment.empty());
}

TEST_P(InnerPlaintextTest, RefusesWhatIsNone) {
  const std::pair<std::vector<std::uint8_t>, AlertDescription> cases[] = {
      {std::vector<std::uint8_t>(), AlertDescription::kUnexpectedMessage},
      {std::vector<std::uint8_t>(100, 0), AlertDescription::kUnexpectedMessage},
      {{'x', 20}, AlertDescription::kUnexpectedMessage},
      {{'x', 99}, AlertDescription::kUnexpectedMessage},
      {{22}, AlertDescription::kUnexpectedMessage},
      {{21}, AlertDescription::kUnexpectedMessage},
      {std::vector<std::uint8_t>(kFragmentBytesMax + 2, 23), AlertDescription::kRecordOverflow},
  };
  for (const auto& [inner, description] : cases) {
    Pair pair = Make();
    ExpectRefused(pair.reader, pair.SealInner(inner), description);
  }
}

TEST(RecordReaderTest, RefusesPlaintextRecordsInTls13) {
  Pair pair;
  const Buffer alert = {std::byte{21}, std::byte{3}, std::byte{3}, std::byte{0},
                        std::byte{2},  std::byte{1}, std::byte{0}};
  ExpectRefused(pair.reader, alert, AlertDescription::kUnexpectedMessage);
}

TEST(RecordReaderTest, AnUnmadeReaderRefuses) {
  RecordReader reader;
  Buffer wire(10);
  EXPECT_EQ(reader.Open(wire).outcome, Outcome::kFailed);
  RecordWriter writer;
  EXPECT_EQ(writer.Seal(ContentType::kApplicationData, wire, {}, wire).outcome,
            SealOutcome::kFailed);
}

TEST(RecordWriterTest, AsksForAKeyUpdateAndStopsAtTheLimit) {
  RecordLimits limits;
  limits.records_before_update = 2;
  limits.records_per_key = 3;
  Pair pair(CipherSuite::kAes128GcmSha256, limits);
  Buffer wire;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(pair.writer.key_update_due(), i == 2);
    wire = pair.Seal(1);
    ASSERT_EQ(pair.last, SealOutcome::kSealed);
    ASSERT_EQ(pair.reader.Open(wire).outcome, Outcome::kOpened);
  }
  pair.Seal(1);
  EXPECT_EQ(pair.last, SealOutcome::kLimitReached);

  Buffer update(RecordWriter::kControlRecordBytesMax);
  std::size_t used = 0;
  ASSERT_EQ(pair.writer.SealKeyUpdate(false, update, used), SealOutcome::kSealed);
  update.resize(used);
  ASSERT_EQ(pair.reader.Open(update).outcome, Outcome::kOpened);
  ASSERT_TRUE(pair.reader.Rekey());
  EXPECT_FALSE(pair.writer.key_update_due());
  wire = pair.Seal(1);
  EXPECT_EQ(pair.reader.Open(wire).outcome, Outcome::kOpened);
}

TEST(RecordWriterTest, Tls12HasNoKeyUpdate) {
  RecordLimits limits;
  limits.records_before_update = 0;
  limits.records_per_key = 0;
  Pair pair(CipherSuite::kEcdheRsaAes128GcmSha256, limits);
  EXPECT_FALSE(pair.writer.key_update_due());
  Buffer update(RecordWriter::kControlRecordBytesMax);
  std::size_t used = 0;
  EXPECT_EQ(pair.writer.SealKeyUpdate(false, update, used), SealOutcome::kFailed);
  pair.Seal(1);
  EXPECT_EQ(pair.last, SealOutcome::kSealed);
  EXPECT_FALSE(pair.reader.Rekey());
}

TEST(RecordWriterTest, Tls12NeverRepeatsAnExplicitNonce) {
  Pair pair(CipherSuite::kEcdheRsaAes128GcmSha256);
  std::uint64_t expected = UINT64_MAX - 1;
  for (int i = 0; i < 4; ++i, ++expected) {
    const Buffer wire = pair.Seal(1);
    std::uint64_t nonce = 0;
    for (std::size_t k = 5; k < 13; ++k)
      nonce = nonce << 8 | std::to_integer<std::uint64_t>(wire[k]);
    EXPECT_EQ(nonce, expected);
  }
}

}  // namespace
}  // namespace ktlsim::tls::test
