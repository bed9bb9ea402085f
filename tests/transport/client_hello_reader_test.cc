// The server name in a client's first bytes: published and built ones, cut in every way, and
// hostile ones.
#include "kernel_sim/transport/client_hello_reader.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim::transport {
namespace {

using Outcome = ClientHelloReader::Outcome;
using Bytes = std::vector<std::uint8_t>;

Bytes FromHex(std::string_view hex) {
  Bytes bytes;
  std::string digits;
  std::ranges::copy_if(hex, std::back_inserter(digits), [](char c) { return c != ' '; });
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

// RFC 8448 3, "Simple 1-RTT Handshake": the client's first record. It asks for "server".
Bytes Published() {
  return FromHex(
      "16 03 01 00 c4 01 00 00 c0 03 03 cb 34 ec b1 e7 81 63 ba 1c 38 c6 da cb 19 6a 6d ff a2 1a "
      "8d 99 12 ec 18 a2 ef 62 83 02 4d ec e7 00 00 06 13 01 13 03 13 02 01 00 00 91 00 00 00 0b "
      "00 09 00 00 06 73 65 72 76 65 72 ff 01 00 01 00 00 0a 00 14 00 12 00 1d 00 17 00 18 00 19 "
      "01 00 01 01 01 02 01 03 01 04 00 23 00 00 00 33 00 26 00 24 00 1d 00 20 99 38 1d e5 60 e4 "
      "bd 43 d2 3d 8e 43 5a 7d ba fe b3 c0 6e 51 c1 3c ae 4d 54 13 69 1e 52 9a af 2c 00 2b 00 03 "
      "02 03 04 00 0d 00 20 00 1e 04 03 05 03 06 03 02 03 08 04 08 05 08 06 04 01 05 01 06 01 02 "
      "01 04 02 05 02 06 02 02 02 00 2d 00 02 01 01 00 1c 00 02 40 01");
}
constexpr std::size_t kNameEnds = 71;  // in those bytes

void PutNumber(Bytes& to, std::size_t number, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) to.push_back(static_cast<std::uint8_t>(number >> (8 * i)));
}
void PutVector(Bytes& to, const Bytes& bytes, int length_bytes) {
  PutNumber(to, bytes.size(), length_bytes);
  to.insert(to.end(), bytes.begin(), bytes.end());
}

// A ClientHello as a message, with these extensions; `kNone`: without the field.
Bytes Message(const Bytes& extensions, bool with_extensions = true) {
  Bytes body(2 + 32, 3);
  PutVector(body, Bytes(32, 7), 1);
  PutVector(body, Bytes(6, 0x13), 2);
  PutVector(body, {0}, 1);
  if (with_extensions) PutVector(body, extensions, 2);
  Bytes message = {1};
  PutVector(message, body, 3);
  return message;
}

Bytes NameExtension(const std::string& name, std::uint8_t type = 0) {
  Bytes entry = {type};
  PutVector(entry, Bytes(name.begin(), name.end()), 2);
  Bytes list;
  PutVector(list, entry, 2);
  Bytes extension = {0, 0};
  PutVector(extension, list, 2);
  return extension;
}

Bytes Record(const Bytes& fragment) {
  Bytes record = {22, 3, 1};
  PutVector(record, fragment, 2);
  return record;
}

// The message in records of `bytes` each.
Bytes Records(const Bytes& message, std::size_t bytes) {
  Bytes records;
  for (std::size_t at = 0; at < message.size(); at += bytes) {
    const auto first = message.begin() + static_cast<std::ptrdiff_t>(at);
    const auto last =
        message.begin() + static_cast<std::ptrdiff_t>(std::min(message.size(), at + bytes));
    const Bytes record = Record(Bytes(first, last));
    records.insert(records.end(), record.begin(), record.end());
  }
  return records;
}

struct Found {
  Outcome outcome;
  std::string name;
  std::size_t read = 0;  // bytes until the outcome
  bool operator==(const Found&) const = default;
};

Found Read(const Bytes& bytes, std::size_t step) {
  ClientHelloReader reader;
  Outcome outcome = Outcome::kNeedMore;
  std::size_t at = 0;
  while (at < bytes.size() && outcome == Outcome::kNeedMore) {
    const std::size_t part = std::min(step, bytes.size() - at);
    outcome = reader.Read(std::as_bytes(std::span(bytes).subspan(at, part)));
    at += part;
  }
  return {outcome, std::string(reader.name()), at};
}

Found Whole(const Bytes& bytes) { return Read(bytes, std::max<std::size_t>(bytes.size(), 1)); }

TEST(ClientHelloReaderTest, ReadsThePublishedHello) {
  const Found found = Whole(Published());
  EXPECT_EQ(found.outcome, Outcome::kName);
  EXPECT_EQ(found.name, "server");
}

TEST(ClientHelloReaderTest, NeedsNoByteBehindTheName) {
  const Found found = Read(Published(), 1);
  EXPECT_EQ(found, (Found{Outcome::kName, "server", kNameEnds}));
}

TEST(ClientHelloReaderTest, WantsMoreAtEachEarlierByte) {
  const Bytes all = Published();
  for (std::size_t bytes = 0; bytes < kNameEnds; ++bytes) {
    const auto end = all.begin() + static_cast<std::ptrdiff_t>(bytes);
    EXPECT_EQ(Whole(Bytes(all.begin(), end)).outcome, Outcome::kNeedMore) << bytes;
  }
}

TEST(ClientHelloReaderTest, EachCutInTwoGivesTheSameName) {
  const Bytes all = Published();
  for (std::size_t cut = 1; cut < all.size(); ++cut) {
    ClientHelloReader reader;
    const auto bytes = std::as_bytes(std::span(all));
    const Outcome first = reader.Read(bytes.first(cut));
    EXPECT_EQ(first, cut < kNameEnds ? Outcome::kNeedMore : Outcome::kName);
    EXPECT_EQ(reader.Read(bytes.subspan(cut)), Outcome::kName) << cut;
    EXPECT_EQ(reader.name(), "server") << cut;
  }
}

TEST(ClientHelloReaderTest, EachFragmentationOverRecordsGivesTheSameName) {
  const Bytes whole = Published();
  const Bytes message(whole.begin() + 5, whole.end());
  for (std::size_t bytes = 1; bytes <= message.size(); ++bytes) {
    const Found found = Read(Records(message, bytes), 3);
    EXPECT_EQ(found.outcome, Outcome::kName) << bytes;
    EXPECT_EQ(found.name, "server") << bytes;
  }
}

TEST(ClientHelloReaderTest, NoNameIsKnownAtTheEndOfTheMessage) {
  for (const Bytes& message :
       {Message({}), Message({}, /*with_extensions=*/false), Message({0, 23, 0, 0})}) {
    const Bytes record = Record(message);
    EXPECT_EQ(Read(record, 1), (Found{Outcome::kName, "", record.size()}));
  }
}

TEST(ClientHelloReaderTest, FindsTheNameBehindOtherExtensions) {
  Bytes extensions = {0, 23, 0, 0, 0, 43, 0, 3, 2, 3, 4};
  const Bytes name = NameExtension("www.example.org");
  extensions.insert(extensions.end(), name.begin(), name.end());
  for (std::size_t step = 1; step < 20; ++step) {
    EXPECT_EQ(Read(Record(Message(extensions)), step).name, "www.example.org");
  }
}

TEST(ClientHelloReaderTest, TheNameIsWhatTheClientWrote) {
  for (const std::string& name : {std::string("../../etc/passwd"), std::string("a\0b", 3),
                                  std::string("UPPER.example"), std::string(255, 'x')}) {
    const Found found = Whole(Record(Message(NameExtension(name))));
    EXPECT_EQ(found.outcome, Outcome::kName);
    EXPECT_EQ(found.name, name);
  }
}

TEST(ClientHelloReaderTest, OtherProtocolsAreKnownByTheirFirstBytes) {
  EXPECT_EQ(Read({'G', 'E', 'T'}, 1), (Found{Outcome::kNotTls, "", 1}));
  EXPECT_EQ(Read({22, 2, 0}, 1), (Found{Outcome::kNotTls, "", 2}));
  // An alert, and SSL 2.0's ClientHello.
  EXPECT_EQ(Whole({21, 3, 3, 0, 2, 2, 40}).outcome, Outcome::kNotTls);
  EXPECT_EQ(Whole({0x80, 0x2e, 1, 0, 2}).outcome, Outcome::kNotTls);
}

TEST(ClientHelloReaderTest, RefusesAnotherRecordWithinTheMessage) {
  Bytes bytes = Records(Message(NameExtension("a.example")), 40);
  bytes[45] = 20;  // the second record becomes a ChangeCipherSpec
  EXPECT_EQ(Whole(bytes).outcome, Outcome::kBroken);
}

TEST(ClientHelloReaderTest, RefusesRecordsOfNoAndOfTooManyBytes) {
  EXPECT_EQ(Whole({22, 3, 1, 0, 0}).outcome, Outcome::kBroken);
  EXPECT_EQ(Whole({22, 3, 1, 0x40, 1}).outcome, Outcome::kBroken);
  EXPECT_EQ(Whole({22, 3, 1, 0x40, 0}).outcome, Outcome::kNeedMore);
}

TEST(ClientHelloReaderTest, RefusesOtherMessagesAndTooLongOnes) {
  EXPECT_EQ(Whole(Record({2, 0, 0, 40})).outcome, Outcome::kBroken);
  EXPECT_EQ(Whole(Record({1, 0, 0x40, 1})).outcome, Outcome::kBroken);
  EXPECT_EQ(Whole(Record({1, 0, 0x40, 0})).outcome, Outcome::kNeedMore);
  EXPECT_EQ(Whole(Record({1, 0, 0, 33})).outcome, Outcome::kBroken);
}

TEST(ClientHelloReaderTest, RefusesNamesThatAreNone) {
  for (const Bytes& extension :
       {NameExtension(""), NameExtension("a", 1), NameExtension(std::string(256, 'x')),
        Bytes{0, 0, 0, 0}, Bytes{0, 0, 0, 2, 0, 0}}) {
    EXPECT_EQ(Whole(Record(Message(extension))).outcome, Outcome::kBroken);
  }
}

// Each byte of the published hello that is a length, made wrong: no length leads beyond the one
// around it, and the reader ends or wants more, whatever comes.
TEST(ClientHelloReaderTest, AnyWrongByteIsHarmless) {
  const Bytes all = Published();
  for (std::size_t at = 0; at < all.size(); ++at) {
    for (const std::uint8_t wrong : Bytes{0x00, 0x01, 0x7f, 0x80, 0xff}) {
      Bytes bytes = all;
      bytes[at] = wrong;
      const Found found = Whole(bytes);
      EXPECT_LE(found.name.size(), ClientHelloReader::kNameBytesMax);
      EXPECT_EQ(Read(bytes, 1).outcome, found.outcome) << at;
      EXPECT_EQ(Read(bytes, 1).name, found.name) << at;
    }
  }
}

TEST(ClientHelloReaderTest, TheOutcomeStays) {
  ClientHelloReader reader;
  const Bytes bytes = {'x'};
  EXPECT_EQ(reader.Read(std::as_bytes(std::span(bytes))), Outcome::kNotTls);
  const Bytes hello = Published();
  EXPECT_EQ(reader.Read(std::as_bytes(std::span(hello))), Outcome::kNotTls);
}

}  // namespace
}  // namespace ktlsim::transport
