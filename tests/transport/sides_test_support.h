// An async context whose callback a test waits for, to test the sides of a connection without a
// connection.
#pragma once

#include <ktlsim/sspi_ext.h>

#include <cstddef>
#include <span>

#include "tests/transport/transport_test_support.h"

namespace ktlsim::test {

class AwaitedCall {
 public:
  AwaitedCall() : async_(SspiCreateAsyncContext()) {
    EXPECT_EQ(SspiSetAsyncNotifyCallback(async_, &AwaitedCall::Done, this), SEC_E_OK);
    EXPECT_EQ(KtlsimSetNotifyMode(async_, KTLSIM_NOTIFY_ON_PROCESSOR), SEC_E_OK);
  }
  ~AwaitedCall() { SspiFreeAsyncContext(async_); }
  AwaitedCall(const AwaitedCall&) = delete;
  AwaitedCall& operator=(const AwaitedCall&) = delete;

  SspiAsyncContext* async() { return async_; }
  // Waits for the call that was submitted last, and returns its status.
  SECURITY_STATUS Wait() {
    ++expected_;
    EXPECT_TRUE(WaitUntil([&] { return ended_ == expected_; }));
    return SspiGetAsyncCallStatus(async_);
  }

 private:
  static void Done(SspiAsyncContext*, void* self) { ++static_cast<AwaitedCall*>(self)->ended_; }

  SspiAsyncContext* const async_;
  int expected_ = 0;
  int ended_ = 0;
};

inline Bytes Copy(std::span<const std::byte> bytes) {
  const auto* first = reinterpret_cast<const unsigned char*>(bytes.data());
  return {first, first + bytes.size()};
}

}  // namespace ktlsim::test
