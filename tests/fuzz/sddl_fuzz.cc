// Descriptors as text and as bytes: what is read can be written, and is read back as it was.
#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kernel_sim/security/access_check.h"
#include "kernel_sim/security/sddl.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace ktlsim;  // NOLINT(google-build-using-namespace)
using namespace ktlsim::security;

constexpr std::uint32_t kAllParts = 0xF;

const std::optional<Sid>& DomainOfTest() {
  static const std::optional<Sid> domain = Sid(5, {21, 1, 2, 3});
  return domain;
}

bool SameImage(const Descriptor& a, const Descriptor& b) {
  return std::ranges::equal(a.image(), b.image());
}

void TryText(std::string_view text) {
  std::optional<Descriptor> read;
  const SddlError error = ParseSddl(text, DomainOfTest(), &read);
  test::Require(error.position <= text.size(), "an error behind the text");
  if (error.fault != Fault::kNone) return;
  std::string written;
  test::Require(FormatSddl(read->view(), kAllParts, DomainOfTest(), &written) == Fault::kNone,
                "what was read cannot be written");
  std::optional<Descriptor> again;
  test::Require(ParseSddl(written, DomainOfTest(), &again).fault == Fault::kNone,
                "what was written cannot be read");
  test::Require(SameImage(*read, *again), "it is another descriptor");
}

// A check looks at every part.
void TryCheck(const DescriptorView& view) {
  static const TokenStateRef state = [] {
    Token::Ref token;
    test::Require(Token::Create({}, &token) == Fault::kNone, "no token");
    return token->state();
  }();
  AccessResult result;
  const Fault fault =
      CheckAccess({view, *state, kMaximumAllowed, kFileMapping, std::nullopt}, &result);
  test::Require(fault == Fault::kNone || !view.owner || !view.group, "a check was refused");
}

void TryBytes(std::span<const std::byte> bytes) {
  // The parts of an absolute descriptor are pointers, which only a caller can have.
  if (bytes.size() < 4 || (static_cast<unsigned>(bytes[3]) & 0x80U) == 0) return;
  DescriptorView view;
  if (ReadDescriptor(bytes, &view) != Fault::kNone) return;
  TryCheck(view);
  const std::optional<Descriptor> copy = Descriptor::Create(view);
  test::Require(copy.has_value(), "no copy");
  std::string text;
  if (FormatSddl(view, kAllParts, DomainOfTest(), &text) == Fault::kNone) TryText(text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  TryText({reinterpret_cast<const char*>(data), bytes});
  TryBytes(std::as_bytes(std::span(data, bytes)));
  return 0;
}
