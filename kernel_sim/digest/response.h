// Response: what a client sends in Authorization (RFC 7616 3.4), and what a server says of itself
// in Authentication-Info (3.5).
//
// What a newcomer gets wrong: `nonce_count` is the number, and `nc` the eight digits that were
// hashed, in whichever case they came. Any level, no state.
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

namespace ktlsim::digest {

enum class UsernameForm : std::uint8_t {
  kPlain,     // username="..."
  kExtended,  // username*=UTF-8''..., for a name that is not printable ASCII
  kHashed,    // username="<hash>", userhash=true
};

// Values view the text that was read, or `room`; both must live as long.
struct Response {
  std::string_view username;  // the name, or its hash in hexadecimal digits
  UsernameForm username_form = UsernameForm::kPlain;
  std::string_view realm;
  std::string_view nonce;
  std::string_view opaque;  // empty: there is none
  std::string_view uri;
  std::string_view cnonce;
  // With a cnonce that covers bindings (bindings.h); else empty.
  std::string_view service_name;
  std::string_view channel;
  std::string_view nc;
  std::uint32_t nonce_count = 0;
  Qop qop = Qop::kAuth;
  Algorithm algorithm = Algorithm::kMd5;
  HashValue response;
  ValueRoom room;

  NonceFacts nonce_facts() const {
    return {.nonce = nonce, .nc = nc, .cnonce = cnonce, .qop = qop};
  }
};

// Reads with or without the scheme's name. kMissing, kBadValue: also a cnonce that covers bindings
// without those that it covers; whether it covers these is not checked. Everything that counts must
// be there: without `qop`, `nc` and `cnonce` (RFC 2069) a replay could not be recognised.
// kConflict: `username` and `username*`, or `username*` with userhash=true. kUnknownAlgorithm: not
// one of ours; whether it was offered is the caller's to see. *out is to be used with kNone only.
Fault ParseResponse(std::string_view text, Response* out);

// `nc` is written as it is, and must be NcText's eight digits. kMissing: no nonce, cnonce, uri or
// response. kBadValue: kExtended for a name that is not UTF-8.
Written FormatResponse(const Response& response, std::span<char> room);

// A nonce count as `nc` writes it: eight lower-case hexadecimal digits.
class NcText {
 public:
  explicit NcText(std::uint32_t count);
  std::string_view view() const { return {digits_.data(), digits_.size()}; }

 private:
  std::array<char, 8> digits_;
};

// Exactly eight digits, of either case. False: anything else.
bool ParseNc(std::string_view text, std::uint32_t* count);

// Authentication-Info. An empty `nextnonce` is none; the others belong to the response that is
// confirmed.
struct AuthenticationInfo {
  HashValue rspauth;
  std::string_view nextnonce;
  std::string_view cnonce;
  std::string_view nc;
  Qop qop = Qop::kAuth;
  ValueRoom room;
};

// `algorithm` is that of the response. As ParseResponse; kMissing: no rspauth, qop, cnonce or nc.
Fault ParseAuthenticationInfo(std::string_view text, Algorithm algorithm, AuthenticationInfo* out);
Written FormatAuthenticationInfo(const AuthenticationInfo& info, std::span<char> room);

}  // namespace ktlsim::digest
