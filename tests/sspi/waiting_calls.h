// Calls that wait, in tests: a leg that stays in its run, and the tokens of suspended calls.
#pragma once

#include <sspi.h>

#include <cstddef>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/sspi/packages/scripted_package.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {

// A script whose second leg runs, on its processor, until LetItEnd.
class RunningLeg {
 public:
  sspi::Script script() {
    sspi::Script script;
    script.legs.resize(2);
    script.legs[0].status = SEC_I_CONTINUE_NEEDED;
    script.legs[1].status = SEC_I_CONTINUE_NEEDED;
    script.legs[1].on_run = [this] {
      running_.Set();
      may_end_.Wait();
    };
    return script;
  }
  void WaitUntilItRuns() { running_.Wait(); }
  void LetItEnd() { may_end_.Set(); }

 private:
  Event running_;
  Event may_end_;
};

// The tokens of calls that have been suspended, in that order.
class Tokens {
 public:
  // For ScriptedWait::on_suspend.
  std::function<void(executive::ResumeToken)> Taker() {
    return [this](executive::ResumeToken token) {
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        tokens_.push_back(token);
      }
      taken_.Add();
    };
  }
  void WaitFor(int count) { taken_.WaitFor(count); }
  int count() { return taken_.value(); }
  // Uses the token number `index`, once there is one.
  void Resume(std::size_t index = 0) {
    WaitFor(static_cast<int>(index) + 1);
    executive::ResumeToken token = [&] {
      const std::lock_guard<std::mutex> lock(mutex_);
      return tokens_[index];
    }();
    token.Resume();
  }

 private:
  std::mutex mutex_;
  std::vector<executive::ResumeToken> tokens_;
  Count taken_;
};

// A credential of the package whose Acquire may suspend.
inline SECURITY_STATUS AcquireWaiting(sspi::Script* script, PCredHandle credential) {
  static char name[] = "ktlsim scripted waiting";
  sspi::Runtime::Instance().RegisterPackage(sspi::ScriptedPackage::Waiting());
  return AcquireCredentialsHandleA(nullptr, name, SECPKG_CRED_INBOUND, nullptr, script, nullptr,
                                   nullptr, credential, nullptr);
}
inline SECURITY_STATUS AcquireWaitingAsync(SspiAsyncContext* async, sspi::Script* script,
                                           PCredHandle credential) {
  static char name[] = "ktlsim scripted waiting";
  sspi::Runtime::Instance().RegisterPackage(sspi::ScriptedPackage::Waiting());
  return SspiAcquireCredentialsHandleAsyncA(async, nullptr, name, SECPKG_CRED_INBOUND, nullptr,
                                            script, nullptr, nullptr, credential, nullptr);
}

// The message of CompleteAuthToken, MakeSignature and VerifySignature.
struct SignedMessage {
  SignedMessage() = default;
  SignedMessage(const SignedMessage&) = delete;
  SignedMessage& operator=(const SignedMessage&) = delete;

  char data[4] = {'d', 'a', 't', 'a'};
  char token[4] = {~'d', ~'a', ~'t', ~'a'};
  SecBuffer buffers[2] = {{sizeof(data), SECBUFFER_DATA, data},
                          {sizeof(token), SECBUFFER_TOKEN, token}};
  SecBufferDesc desc = {SECBUFFER_VERSION, 2, buffers};
  ULONG qop = 0;

  // The token was completed once: every byte inverted.
  bool Completed() const { return token[0] == 'd'; }
};

}  // namespace ktlsim::test
