// Messages of Digest, for HTTP and for SASL: what is taken can be written, and is read back as it
// was.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/digest/challenge.h"
#include "kernel_sim/digest/response.h"
#include "kernel_sim/digest/sasl_messages.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace ktlsim;  // NOLINT(google-build-using-namespace)
using namespace ktlsim::digest;

constexpr std::size_t kRoom = 6 * kMessageBytesMax;  // each byte may become an escape of three

template <typename Format>
std::string Text(const Format& format) {
  std::vector<char> room(kRoom);
  const Written written = format(std::span<char>(room));
  test::Require(written.bytes <= room.size(), "a message grew");
  return written.fault == Fault::kNone ? std::string(room.data(), written.bytes) : std::string();
}

void TryChallenges(std::string_view text) {
  Challenge challenge;
  if (ParseChallenge(text, &challenge) == Fault::kNone) {
    const std::string written =
        Text([&](std::span<char> room) { return FormatChallenge(challenge, room); });
    Challenge again;
    if (written.size() <= kMessageBytesMax) {
      test::Require(ParseChallenge(written, &again) == Fault::kNone, "its challenge is none");
      test::Require(again.realm == challenge.realm && again.nonce == challenge.nonce &&
                        again.opaque == challenge.opaque && again.qops == challenge.qops,
                    "its challenge is another");
    }
  }
  ChallengeListReader reader(text);
  SchemeChallenge one;
  std::size_t challenges = 0;
  while (reader.Read(&one) == ChallengeListReader::Next::kChallenge) {
    test::Require(!one.scheme.empty() && ++challenges <= text.size(), "a list without an end");
  }
}

void TryResponse(std::string_view text) {
  Response response;
  if (ParseResponse(text, &response) != Fault::kNone) return;
  const std::string written =
      Text([&](std::span<char> room) { return FormatResponse(response, room); });
  if (written.empty() || written.size() > kMessageBytesMax) return;
  Response again;
  test::Require(ParseResponse(written, &again) == Fault::kNone, "its response is none");
  test::Require(again.username == response.username && again.uri == response.uri &&
                    again.nonce_count == response.nonce_count &&
                    again.response.raw() == response.response.raw(),
                "its response is another");
}

void TrySasl(std::string_view text) {
  SaslChallenge challenge;
  if (ParseSaslChallenge(text, &challenge) == Fault::kNone) {
    const std::string written =
        Text([&](std::span<char> room) { return FormatSaslChallenge(challenge, room); });
    SaslChallenge again;
    test::Require(written.empty() || ParseSaslChallenge(written, &again) == Fault::kNone,
                  "its SASL challenge is none");
  }
  SaslResponse response;
  if (ParseSaslResponse(text, &response) == Fault::kNone) {
    const std::string written =
        Text([&](std::span<char> room) { return FormatSaslResponse(response, room); });
    SaslResponse again;
    test::Require(written.empty() || (ParseSaslResponse(written, &again) == Fault::kNone &&
                                      again.username == response.username),
                  "its SASL response is none");
  }
  HashValue rspauth;
  test::Require((ParseSaslRspauth(text, &rspauth) == Fault::kNone) == !rspauth.empty(),
                "a fault with a hash");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  TryChallenges(text);
  TryResponse(text);
  TrySasl(text);
  return 0;
}
