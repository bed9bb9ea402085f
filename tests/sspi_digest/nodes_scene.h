// DigestNodesTest: several nodes with one store, played by one process.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"
#include "tests/sspi_digest/digest_world.h"

namespace ktlsim::test {

// The process has one index of contexts: what a node knows. A test plays another node by taking
// an opaque value out of it, and comes back by putting it in again.
class DigestNodesTest : public testing::Test {
 protected:
  ScriptedStore& store() { return world_.store(); }
  static sspi::DigestIndex& index() { return DigestWorld::package().index(); }
  static std::string Identity() { return std::string(1, '\0') + std::string(kRealm); }
  static std::uint64_t Now() { return DigestWorld::package().package_host().clock().NowNs(); }
  static digest::Opaque OpaqueOf(const std::string& header) {
    return digest::Opaque::Parse(ReadResponse(header).opaque).value();
  }

  // From now on this is a node that does not know the context of `header`. Returns what the one
  // before knew.
  static sspi::DigestIndex::Place Leave(const std::string& header) {
    const digest::Opaque opaque = OpaqueOf(header);
    sspi::DigestIndex::Ended ended;
    const auto place = index().Find(opaque, Identity(), Now(), &ended);
    EXPECT_TRUE(place.has_value());
    EXPECT_TRUE(index().Remove(opaque, place->handle));
    return *place;
  }
  // Back to the node that knew `place`.
  static void Return(const std::string& header, const sspi::DigestIndex::Place& place) {
    sspi::DigestIndex::Ended ended;
    EXPECT_TRUE(index().Add(OpaqueOf(header), Identity(), place, Now(), Now() + 300 * kNsPerSecond,
                            &ended));
  }
  static sspi::DigestIndex::Place Go(const std::string& header,
                                     const sspi::DigestIndex::Place& to) {
    const sspi::DigestIndex::Place from = Leave(header);
    Return(header, to);
    return from;
  }

  // For a test that holds operations of the store: its thread may be slow, too.
  void WaitLong() {
    KtlsimCred_DigestServer settings = server_.settings();
    settings.cContextStoreWaitMs = KTLSIM_DIGEST_WAIT_MS_MAX;
    ASSERT_EQ(server_.Set(settings), SEC_E_OK);
  }

  void ExpectStale(const Accepted& accepted) {
    ASSERT_EQ(accepted.status, SEC_I_CONTINUE_NEEDED) << KtlsimLastErrorText();
    EXPECT_TRUE(ReadChallenge(accepted.token).stale);
  }
  std::string Answer(const std::string& challenge) {
    std::string header;
    EXPECT_EQ(client_.Respond(challenge, &header), SEC_E_OK) << KtlsimLastErrorText();
    return header;
  }
  // A challenge of another node, and the response to it.
  std::string OfAnotherNode() {
    challenge_ = server_.Challenge();
    std::string header = Answer(challenge_.token);
    other_ = Leave(header);
    return header;
  }
  void TearDown() override { DigestServer::Delete(challenge_.context); }

  DigestWorld world_;
  DigestServer server_{UserLine("Mufasa", "Circle of Life") + UserLine("Scar", "Be Prepared")};
  DigestClient client_;
  DigestClient other_user_{"Scar", "Be Prepared"};
  Accepted challenge_;
  sspi::DigestIndex::Place other_;
};

}  // namespace ktlsim::test
