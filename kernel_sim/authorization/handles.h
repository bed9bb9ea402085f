// Handles of the access functions: what CloseHandle closes. A handle is a value of kind, index and
// generation, never an address; its object has a mask of what may be done through it.
//
// What a newcomer gets wrong: closing a handle takes nothing from those who got the token through
// it, a thread that impersonates for example.
//
// Any thread, up to dispatch level. Opening allocates.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "kernel_sim/executive/object_table.h"
#include "kernel_sim/security/access_mask.h"
#include "kernel_sim/security/fault.h"
#include "kernel_sim/security/token.h"

namespace ktlsim::authorization {

enum class HandleKind : std::uint8_t { kToken = 0x54, kProcess = 0x50 };

// All rights to a token that there are.
inline constexpr security::AccessMask kTokenAllAccess = 0x000F01FF;

// Who may close a handle: everybody, or only its owner, who lends it.
enum class HandleOwner : std::uint8_t { kCaller, kLender };

class HandleObject : public executive::Object {
 public:
  HandleKind kind() const { return kind_; }
  HandleOwner owner() const { return owner_; }

 protected:
  HandleObject(HandleKind kind, HandleOwner owner) : kind_(kind), owner_(owner) {}

 private:
  const HandleKind kind_;
  const HandleOwner owner_;
};

// A reference to a token, with the rights that it was opened with.
class TokenObject final : public HandleObject {
 public:
  TokenObject(security::Token::Ref token, security::AccessMask access, HandleOwner owner)
      : HandleObject(HandleKind::kToken, owner), token_(std::move(token)), access_(access) {}

  const security::Token::Ref& token() const { return token_; }
  security::AccessMask access() const { return access_; }

 private:
  const security::Token::Ref token_;
  const security::AccessMask access_;
};

// A process that was started as a token; the handle keeps the token, and with it its session.
class ProcessObject final : public HandleObject {
 public:
  explicit ProcessObject(security::Token::Ref token)
      : HandleObject(HandleKind::kProcess, HandleOwner::kCaller), token_(std::move(token)) {}

 private:
  const security::Token::Ref token_;
};

// Never null, never one of the pseudo handles below.
using HandleValue = void*;

// GetCurrentProcess and its kin: they name what is current, and nothing is closed with them.
inline constexpr std::intptr_t kCurrentProcess = -1;
inline constexpr std::intptr_t kCurrentThread = -2;
inline constexpr std::intptr_t kCurrentProcessToken = -4;
inline constexpr std::intptr_t kCurrentThreadToken = -5;
inline constexpr std::intptr_t kCurrentThreadEffectiveToken = -6;
inline bool IsPseudo(HandleValue handle, std::intptr_t which) {
  return reinterpret_cast<std::intptr_t>(handle) == which;
}

// kNoMemory, also when there are too many handles.
security::Fault OpenHandle(std::unique_ptr<HandleObject> object, HandleValue* handle);
security::Fault OpenToken(security::Token::Ref token, security::AccessMask access,
                          HandleValue* handle, HandleOwner owner = HandleOwner::kCaller);

// Null: not a live handle of this kind.
executive::Reference<TokenObject> FindToken(HandleValue handle);

// kInvalidHandle: not a live one, or one that is lent. A pseudo handle is closed without effect.
security::Fault CloseForCaller(HandleValue handle);
// For the lender. A dead handle is none's business.
void CloseLent(HandleValue handle);

// Handles that are open.
std::uint32_t OpenHandles();

}  // namespace ktlsim::authorization
