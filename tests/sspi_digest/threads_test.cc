// Many threads on one context, on its end, and on its first response.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"

namespace ktlsim::test {
namespace {

constexpr int kThreads = 8;

template <typename Work>
void OnThreads(const Work& work) {
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) threads.emplace_back([&work, i] { work(i); });
  for (std::thread& thread : threads) thread.join();
}

TEST(DigestThreadsTest, ClientsOnOneContextAreAllServedOnce) {
  DigestServer server;
  DigestClient client;
  Established context(server, client);
  OnThreads([&](int thread) {
    for (int i = 0; i < 50; ++i) {
      const Request request = {.uri = "/" + std::to_string(thread) + "/" + std::to_string(i)};
      std::string header;
      ASSERT_EQ(client.Sign(&header, request), SEC_E_OK);
      // A thread that is held up for more than 64 requests of the others comes too late.
      const SECURITY_STATUS status = server.Serve(header, request);
      EXPECT_TRUE(status == SEC_E_OK || status == SEC_E_OUT_OF_SEQUENCE) << std::hex << status;
      EXPECT_EQ(server.Serve(header, request), SEC_E_OUT_OF_SEQUENCE);
    }
  });
}

TEST(DigestThreadsTest, OneReplayOfManyAtOnceIsAccepted) {
  DigestServer server;
  DigestClient client;
  Established context(server, client);
  for (int round = 0; round < 20; ++round) {
    const std::string header = client.Sign();
    std::atomic<int> accepted{0};
    OnThreads([&](int) {
      if (DigestServer::Verify(context.context, header) == SEC_E_OK) ++accepted;
    });
    EXPECT_EQ(accepted, 1);
  }
}

TEST(DigestThreadsTest, FirstResponseOnSeveralConnectionsEstablishesOnce) {
  DigestServer server;
  for (int round = 0; round < 20; ++round) {
    DigestClient client;
    const Accepted challenge = server.Challenge();
    const std::string header = client.Respond(challenge.token);
    std::atomic<int> accepted{0};
    OnThreads([&](int) {
      const SECURITY_STATUS status = server.Serve(header);
      if (status == SEC_E_OK) ++accepted;
      EXPECT_TRUE(status == SEC_E_OK || status == SEC_E_OUT_OF_SEQUENCE) << std::hex << status;
    });
    EXPECT_EQ(accepted, 1);
    EXPECT_EQ(DigestServer::Delete(challenge.context), SEC_E_OK);
  }
}

TEST(DigestThreadsTest, DeletedWhileInUse) {
  DigestServer server;
  for (int round = 0; round < 20; ++round) {
    DigestClient client;
    Established context(server, client);
    context.deletes = false;
    std::atomic<int> deleted{0};
    OnThreads([&](int thread) {
      for (int i = 0; i < 10; ++i) {
        std::string header;
        ASSERT_EQ(client.Sign(&header), SEC_E_OK);
        if (thread == 0 && i == 5) {
          if (DigestServer::Delete(context.context) == SEC_E_OK) ++deleted;
        }
        const Accepted accepted = server.Accept(header);
        if (accepted.status == SEC_I_COMPLETE_NEEDED) {
          const SECURITY_STATUS status = DigestServer::Complete(accepted.context, header);
          EXPECT_TRUE(status == SEC_E_OK || status == SEC_E_INVALID_HANDLE ||
                      status == SEC_E_OUT_OF_SEQUENCE)
              << std::hex << status;
          continue;
        }
        // A context of the caller's, unless two requests at once have got the same challenge.
        ASSERT_EQ(accepted.status, SEC_I_CONTINUE_NEEDED) << KtlsimLastErrorText();
        const SECURITY_STATUS ended = DigestServer::Delete(accepted.context);
        EXPECT_TRUE(ended == SEC_E_OK || ended == SEC_E_INVALID_HANDLE) << std::hex << ended;
      }
    });
    EXPECT_EQ(deleted, 1);
  }
}

TEST(DigestThreadsTest, ChallengesAndCredentialsComeAndGo) {
  DigestServer server;
  OnThreads([&](int) {
    for (int i = 0; i < 20; ++i) {
      DigestClient client;
      Established context(server, client);
      std::string header;
      ASSERT_EQ(client.Sign(&header), SEC_E_OK);
      EXPECT_EQ(server.Serve(header), SEC_E_OK);
      ASSERT_EQ(server.Set(server.settings()), SEC_E_OK);
    }
  });
}

}  // namespace
}  // namespace ktlsim::test
