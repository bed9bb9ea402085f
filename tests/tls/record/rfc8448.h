// RFC 8448 section 3, the simple 1-RTT handshake: the records after the handshake.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace ktlsim::tls::test {

inline std::vector<std::uint8_t> Hex(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(digit(text[i]) << 4 | digit(text[i + 1])));
  }
  return bytes;
}

inline constexpr std::string_view kClientTrafficSecret =
    "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
inline constexpr std::string_view kServerTrafficSecret =
    "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";

// The client's first application record: the bytes 0x00 to 0x31.
inline constexpr std::string_view kClientRecord =
    "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e"
    "2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4";
// The same from the server, whose first record was a ticket.
inline constexpr std::string_view kServerRecord =
    "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59"
    "a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d";
// close_notify, one record later.
inline constexpr std::string_view kClientAlertRecord =
    "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3";
inline constexpr std::string_view kServerAlertRecord =
    "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9";

}  // namespace ktlsim::tls::test
