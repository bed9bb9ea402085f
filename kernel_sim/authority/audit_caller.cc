#include "kernel_sim/authority/audit_caller.h"

#include <cstddef>
#include <cstring>

#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/digest/charset.h"
#include "kernel_sim/sspi/text.h"

namespace ktlsim::authority {
namespace {

using authorization::LoadElement;

// One byte more than a record takes, so that it says that the rest was cut off.
constexpr std::size_t kTextMax = audit::kObjectBytesMax + 1;

bool IsContinuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80; }

// The bytes of the character that `first` begins; 1: of one byte, or of none.
std::size_t CharacterBytes(char first) {
  const auto byte = static_cast<unsigned char>(first);
  if (byte < 0xC2 || byte > 0xF4) return 1;
  if (byte < 0xE0) return 2;
  return byte < 0xF0 ? 3 : 4;
}

// Without its last character, if that is not whole.
std::string_view WholeCharacters(std::string_view text) {
  std::size_t begin = text.size();
  while (begin > 0 && text.size() - begin < 3 && IsContinuation(text[begin - 1])) --begin;
  if (begin == 0 || CharacterBytes(text[begin - 1]) <= text.size() - begin + 1) return text;
  return text.substr(0, begin - 1);
}

}  // namespace

bool ReadAuditText(const char* text, std::string* out) {
  const std::size_t bytes = text != nullptr ? strnlen(text, kTextMax) : 0;
  out->assign(text != nullptr ? text : "", bytes);
  return digest::IsUtf8(bytes == kTextMax ? WholeCharacters(*out) : std::string_view(*out));
}

bool ReadAuditText(const WCHAR* text, std::string* out) {
  std::u16string copy;
  while (text != nullptr && copy.size() < kTextMax) {
    const auto unit = LoadElement<WCHAR>(text, 0, copy.size());
    if (unit == 0) break;
    copy.push_back(unit);
  }
  *out = sspi::ToUtf8(copy);
  return true;
}

Parties::Parties(const security::Token::Ref& token) : use_(LocalTrail::Instance()) {
  const security::Token::Ref& process = authorization::ProcessToken();
  if (process != nullptr) process_ = process->state();
  if (token != nullptr) client_ = token->state();
}

audit::AuditParties Parties::get() const {
  return {.trail = use_.get(),
          .process = *process_,
          .client = client_.get(),
          .client_name = ClientName()};
}

std::string_view Parties::ClientName() const {
  if (client_ == nullptr) return {};
  const auto& session = client_->identity().logon_session;
  return session != nullptr ? session->user_name() : std::string_view();
}

}  // namespace ktlsim::authority
