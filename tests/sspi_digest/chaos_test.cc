// A store that fails, forgets, holds back and restarts at random, and an attacker who replays
// everything: no request is accepted twice, and the honest client is never refused for long.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"
#include "tests/sspi_digest/digest_world.h"

namespace ktlsim::test {
namespace {

using Treatment = ScriptedStore::Treatment;

class DigestChaosTest : public testing::TestWithParam<std::uint32_t> {
 protected:
  unsigned Draw(unsigned below) { return static_cast<unsigned>(random_() % below); }

  void Begin() {
    KtlsimCred_DigestServer settings = server_.settings();
    settings.cContextStoreWaitMs = 1;
    ASSERT_EQ(server_.Set(settings), SEC_E_OK);
    world_.store().TreatBy([this] {
      const unsigned drawn = Draw(20);
      if (drawn < 14) return Treatment::kPass;
      if (drawn < 16) return Treatment::kFail;
      return drawn < 18 ? Treatment::kFailAfterEffect : Treatment::kHold;
    });
  }

  // The server's part; whether the request was served.
  bool Serve(const std::string& header, std::string* challenge) {
    const Accepted accepted = server_.Accept(header);
    bool served = accepted.status == SEC_E_OK;
    if (accepted.status == SEC_I_COMPLETE_NEEDED) {
      const SECURITY_STATUS status = DigestServer::Complete(accepted.context, header);
      served = status == SEC_E_OK;
      // The server challenges again.
      if (!served) *challenge = server_.Challenge().token;
    } else if (accepted.status == SEC_I_CONTINUE_NEEDED) {
      *challenge = accepted.token;
    }
    if (served) ++served_[header];
    return served;
  }

  // The client's part: a request, answered until it is served. False: it was not within `tries`.
  bool Request(int tries) {
    std::string challenge;
    if (client_ == nullptr) {
      client_ = std::make_unique<DigestClient>();
      challenge = server_.Challenge().token;
    }
    for (int i = 0; i < tries; ++i) {
      std::string header;
      if (challenge.empty()) {
        if (client_->Sign(&header) != SEC_E_OK) return false;
      } else if (client_->Respond(challenge, &header) != SEC_E_OK) {
        // Not a stale one: it begins anew, as a browser does.
        client_ = std::make_unique<DigestClient>();
        header = client_->Respond(challenge);
      }
      seen_.push_back(header);
      challenge.clear();
      if (Serve(header, &challenge)) return true;
      if (challenge.empty()) challenge = server_.Challenge().token;
    }
    return false;
  }

  // Another node's view: this one forgets a context that it knows.
  void Forget(const std::string& header) {
    const auto opaque = digest::Opaque::Parse(ReadResponse(header).opaque);
    if (!opaque.has_value()) return;
    auto& index = DigestWorld::package().index();
    const std::string identity = std::string(1, '\0') + std::string(kRealm);
    sspi::DigestIndex::Ended ended;
    const auto place = index.Find(*opaque, identity, 0, &ended);
    if (place.has_value()) index.Remove(*opaque, place->handle);
  }

  DigestWorld world_;
  DigestServer server_;
  std::unique_ptr<DigestClient> client_;
  std::mt19937 random_{GetParam()};
  std::vector<std::string> seen_;
  std::map<std::string, int> served_;
};

TEST_P(DigestChaosTest, NoReplayIsAcceptedAndNobodyIsLockedOut) {
  Begin();
  for (int round = 0; round < 150; ++round) {
    Request(3);
    if (!seen_.empty()) {
      std::string ignored;
      Serve(seen_[Draw(static_cast<unsigned>(seen_.size()))], &ignored);
      if (Draw(10) == 0) Forget(seen_.back());
    }
    while (world_.store().held() > 4) world_.store().LetGo();
    if (Draw(40) == 0) world_.store().Restart();
    if (Draw(20) == 0) world_.Pass(1);
  }
  while (world_.store().held() > 0) world_.store().LetGo();
  world_.store().TreatBy(nullptr);
  world_.Pass(2);
  // The store works again: within two challenges.
  EXPECT_TRUE(Request(4));
  EXPECT_TRUE(Request(3));
  EXPECT_TRUE(Request(1));
  for (const std::string& header : seen_) {
    std::string ignored;
    Serve(header, &ignored);
  }
  for (const auto& [header, times] : served_) EXPECT_EQ(times, 1) << header;
}

INSTANTIATE_TEST_SUITE_P(Seeds, DigestChaosTest, testing::Range(1U, 13U));

}  // namespace
}  // namespace ktlsim::test
