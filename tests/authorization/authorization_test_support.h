// Tokens and handles for the tests of the access functions.
#pragma once

#include <ktlsim/security.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/authorization/handles.h"
#include "kernel_sim/authorization/impersonation.h"
#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/base/thread_identity.h"

namespace ktlsim::authorization {

// S-1-5-21-1-2-3-number.
inline security::Sid ClientSid(std::uint32_t number) {
  return security::Sid(5, {21, 1, 2, 3, number});
}

struct ClientShape {
  std::uint32_t number = 1001;
  security::TokenType type = security::TokenType::kImpersonation;
  security::ImpersonationLevel level = security::ImpersonationLevel::kImpersonation;
  std::vector<security::TokenGroup> groups{};
  security::TokenPrivileges privileges{};
};

inline security::Token::Ref MakeClient(const ClientShape& shape = {}) {
  security::TokenContents contents;
  contents.user = ClientSid(shape.number);
  contents.groups = shape.groups;
  contents.privileges = shape.privileges;
  contents.type = shape.type;
  contents.level = shape.level;
  contents.token_id = NextLuid();
  contents.source.name = {'t', 'e', 's', 't', ' ', ' ', ' ', ' '};
  security::Token::Ref token;
  EXPECT_EQ(security::Token::Create(contents, &token), security::Fault::kNone);
  return token;
}

// An open handle, closed at the end.
class TestHandle {
 public:
  TestHandle() = default;
  explicit TestHandle(security::Token::Ref token, DWORD access = TOKEN_ALL_ACCESS) {
    EXPECT_EQ(OpenToken(std::move(token), access, &handle_), security::Fault::kNone);
  }
  TestHandle(const TestHandle&) = delete;
  TestHandle& operator=(const TestHandle&) = delete;
  ~TestHandle() {
    if (handle_ == nullptr) return;
    EXPECT_EQ(CloseForCaller(handle_), security::Fault::kNone);
  }

  HANDLE get() const { return handle_; }
  PHANDLE out() { return &handle_; }
  DWORD access() const { return FindToken(handle_)->access(); }
  security::Token::Ref token() const { return FindToken(handle_)->token(); }

 private:
  HANDLE handle_ = nullptr;
};

// The thread acts as the process and has no last error, before and after each test; no handle is
// left open.
class AuthorizationTest : public testing::Test {
 protected:
  AuthorizationTest() {
    Revert();
    ktlsim::SetLastError(0);
  }
  ~AuthorizationTest() override {
    Revert();
    EXPECT_EQ(OpenHandles(), open_);
  }

  // FALSE, with this error.
  static void ExpectError(BOOL result, DWORD error) {
    EXPECT_EQ(result, FALSE);
    EXPECT_EQ(KtlsimGetLastError(), error);
    KtlsimSetLastError(0);
  }

 private:
  const std::uint32_t open_ = OpenHandles();
};

}  // namespace ktlsim::authorization
