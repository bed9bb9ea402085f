// The border between the access functions and their callers. For what is a border to C: this folder
// and authority/.
#pragma once

#include <ktlsim/security.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "kernel_sim/authorization/handles.h"
#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/security/acl.h"
#include "kernel_sim/security/fault.h"
#include "kernel_sim/security/token.h"

namespace ktlsim::authorization {

// TRUE, or FALSE and the last error. No exception leaves a function of the C API.
template <typename Call>
BOOL TellCaller(Call&& call) noexcept {
  security::Fault fault = security::Fault::kNoMemory;
  try {
    fault = call();
  } catch (const std::bad_alloc&) {
    fault = security::Fault::kNoMemory;
  }
  if (fault == security::Fault::kNone) return TRUE;
  SetLastError(static_cast<std::uint32_t>(fault));
  return FALSE;
}

// What lies in a caller's memory, which need not be aligned. It is read once, into our own memory,
// and judged there: the caller's other threads may be changing it.
template <typename T>
T LoadFrom(const void* from) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  std::memcpy(static_cast<void*>(&value), from, sizeof(value));
  asm volatile("" : "+m"(value));  // or the compiler may read it again
  return value;
}
template <typename T>
void StoreTo(void* to, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::memcpy(to, static_cast<const void*>(&value), sizeof(value));
}
// The `index`-th element of an array that begins `offset` bytes behind `base`.
template <typename T>
T LoadElement(const void* base, std::size_t offset, std::size_t index) {
  return LoadFrom<T>(static_cast<const std::byte*>(base) + offset + index * sizeof(T));
}

// kInvalidSid: there is none at `from`, or `from` is null.
inline security::Fault CaptureSid(const void* from, security::Sid* sid) {
  if (from == nullptr) return security::Fault::kInvalidSid;
  const auto head = LoadFrom<std::array<std::byte, 2>>(from);
  const auto count = static_cast<std::size_t>(head[1]);
  if (count > security::kSubAuthoritiesMax) return security::Fault::kInvalidSid;
  std::array<std::byte, security::kSidBytesMax> copy{};
  std::memcpy(copy.data(), from, security::SidBytes(count));
  const auto view = security::SidView::Read(std::span(copy).first(security::SidBytes(count)));
  if (!view) return security::Fault::kInvalidSid;
  *sid = security::Sid(*view);
  return security::Fault::kNone;
}

// With the room that no ACE uses. kInvalidAcl: there is none at `from`, or `from` is null. May
// throw std::bad_alloc.
inline security::Fault CaptureAcl(const void* from, std::vector<std::byte>* acl) {
  if (from == nullptr) return security::Fault::kInvalidAcl;
  const std::size_t bytes = LoadFrom<ACL>(from).AclSize;
  if (bytes < security::kAclHeaderBytes) return security::Fault::kInvalidAcl;
  acl->resize(bytes);
  std::memcpy(acl->data(), from, bytes);
  return security::AclView::Read(*acl) ? security::Fault::kNone : security::Fault::kInvalidAcl;
}

// More than there are: a longer list names one of them twice.
inline constexpr DWORD kPrivilegesToNameMax = 64;

// A token that a caller names, with what the handle is good for.
struct NamedToken {
  security::Token::Ref token;
  security::AccessMask access = 0;
};
// kInvalidHandle; kNoToken: the thread's pseudo handle, and the thread acts as the process;
// kAccessDenied: the handle is not good for all of `needed`. The pseudo handles are good for
// queries.
security::Fault FindNamed(HANDLE handle, security::AccessMask needed, NamedToken* named);

// Which of the rights to `object`, a token's state, `judged` is given; none: not all of them.
std::optional<security::AccessMask> GrantToken(const security::TokenState& judged,
                                               const security::TokenState& object,
                                               security::AccessMask desired);

// Of a caller's enumeration. None: there is no such value.
std::optional<security::ImpersonationLevel> LevelOf(SECURITY_IMPERSONATION_LEVEL level);

}  // namespace ktlsim::authorization
