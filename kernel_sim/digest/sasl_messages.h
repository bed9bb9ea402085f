// The three messages of DIGEST-MD5 as a SASL mechanism (RFC 2831 2.1): the server's challenge, the
// client's response, and the server's final `rspauth`.
//
// What a newcomer gets wrong: these are not HTTP's. The algorithm is always md5-sess, a challenge
// may name several realms, both sides bound what they receive (`maxbuf`), and the lengths of the
// messages themselves have a bound. Any level, no state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernel_sim/digest/algorithm.h"
#include "kernel_sim/digest/calculation.h"
#include "kernel_sim/digest/directive_writer.h"
#include "kernel_sim/digest/directives.h"
#include "kernel_sim/digest/sasl_cipher_name.h"

namespace ktlsim::digest {

inline constexpr std::size_t kSaslChallengeBytesMax = 2047;  // "less than 2048"
inline constexpr std::size_t kSaslResponseBytesMax = 4095;   // "less than 4096"
inline constexpr std::size_t kSaslRealmsMax = 16;

// The largest protected message that a side receives, its 16 bytes of MAC or more included.
inline constexpr std::uint32_t kMaxbufDefault = 65536;
inline constexpr std::uint32_t kMaxbufMin = 17;
inline constexpr std::uint32_t kMaxbufMax = 16777215;

// Values view the text that was read, or `room`; both must live as long.
struct SaslChallenge {
  std::array<std::string_view, kSaslRealmsMax> realms;
  std::size_t realm_count = 0;
  std::string_view nonce;
  std::string_view opaque;  // empty: there is none; RFC 2831 has none, the SSPI provider has
  QopSet qops;
  SaslCipherSet ciphers;
  std::uint32_t maxbuf = kMaxbufDefault;
  bool stale = false;
  bool utf8 = false;
  ValueRoom room;

  std::span<const std::string_view> all_realms() const {
    return std::span(realms).first(realm_count);
  }
};

// Unknown directives, qualities and ciphers are passed over. Without `qop` it is auth. auth-conf
// without a known cipher is taken off `qops`; kUnknownQop: nothing is left. kMissing: no nonce, no
// algorithm, or auth-conf without `cipher`. *out is to be used with kNone only.
Fault ParseSaslChallenge(std::string_view text, SaslChallenge* out);
// Also kTooLong, with the length.
Written FormatSaslChallenge(const SaslChallenge& challenge, std::span<char> room);

struct SaslResponse {
  std::string_view username;
  std::string_view realm;  // empty: there is none
  std::string_view nonce;
  std::string_view cnonce;
  std::string_view nc;
  std::uint32_t nonce_count = 0;
  std::string_view digest_uri;
  std::string_view authzid;  // empty: there is none
  std::string_view opaque;   // as in the challenge
  Qop qop = Qop::kAuth;
  SaslCipher cipher = SaslCipher::kRc4;  // counts with auth-conf alone
  std::uint32_t maxbuf = kMaxbufDefault;
  bool utf8 = false;
  HashValue response;
  ValueRoom room;

  NonceFacts nonce_facts() const {
    return {.nonce = nonce, .nc = nc, .cnonce = cnonce, .qop = qop};
  }
};

// kMissing: no username, nonce, cnonce, nc, digest-uri or response, or auth-conf without a cipher.
// *out is to be used with kNone only.
Fault ParseSaslResponse(std::string_view text, SaslResponse* out);
// Also kTooLong, with the length.
Written FormatSaslResponse(const SaslResponse& response, std::span<char> room);

// `rspauth=` and 32 digits. kMissing: it is not there.
Fault ParseSaslRspauth(std::string_view text, HashValue* rspauth);
Written FormatSaslRspauth(const HashValue& rspauth, std::span<char> room);

}  // namespace ktlsim::digest
