// ClientHelloReader: the server name in the first bytes that a client sends (RFC 6066 3), before
// there is a credential that could read them.
//
// What a newcomer gets wrong: the ClientHello need not lie in one record, let alone in one piece.
// The bytes come as the network cuts them; each is looked at once, and none is kept but the name.
// Hostile bytes end it early: the library judges the message later, and a wrong guess here only
// chooses another certificate.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ktlsim::transport {

class ClientHelloReader {
 public:
  // The longest ClientHello that the library takes.
  static constexpr std::uint32_t kMessageBytesMax = 16 * 1024;
  // The longest name (RFC 1035 2.3.4), and one more for a dot at its end.
  static constexpr std::size_t kNameBytesMax = 255;

  enum class Outcome : std::uint8_t {
    kNeedMore,
    kName,    // name() is what the client asks for; empty: for none
    kNotTls,  // the first bytes are no handshake record
    kBroken,  // no ClientHello, or one whose lengths contradict each other
  };

  // The bytes that follow those of the calls before. Once the outcome is not kNeedMore, it stays.
  // Any level.
  Outcome Read(std::span<const std::byte> bytes);

  // As the client wrote it: any bytes at all.
  std::string_view name() const { return {name_.data(), name_bytes_}; }

 private:
  // A field of the message; the numbers are read, the others skipped.
  enum class Field : std::uint8_t {
    kMessageType,
    kMessageLength,
    kVersionAndRandom,
    kSessionLength,
    kSession,
    kSuitesLength,
    kSuites,
    kCompressionLength,
    kCompression,
    kExtensionsLength,
    kExtensionType,
    kExtensionLength,
    kExtension,
    kListLength,
    kNameType,
    kNameLength,
    kName,
  };

  // Each returns kNeedMore to go on.
  Outcome ReadRecordHeader(std::byte byte);
  Outcome CheckRecordHeader() const;
  Outcome ReadFragment(std::span<const std::byte> bytes);
  Outcome ReadNumber(std::uint8_t byte);
  Outcome EndOfField(std::uint32_t number);
  Outcome EndOfListField(std::uint32_t number);
  Outcome Expect(Field field, std::uint32_t bytes);
  Outcome ExpectExtension();

  Outcome outcome_ = Outcome::kNeedMore;
  Field field_ = Field::kMessageType;
  bool first_record_ = true;
  std::uint8_t header_bytes_ = 0;  // of the record header that is being read
  std::array<std::uint8_t, 5> header_{};
  std::uint32_t fragment_left_ = 0;
  std::uint32_t message_left_ = 4;  // of the message, or before its length is known of its header
  std::uint32_t extensions_left_ = 0;
  std::uint32_t extension_left_ = 0;
  std::uint32_t field_left_ = 1;
  std::uint32_t number_ = 0;
  std::uint32_t extension_type_ = 0;
  std::size_t name_bytes_ = 0;
  std::array<char, kNameBytesMax> name_{};
};

}  // namespace ktlsim::transport
