#include "kernel_sim/serve/echo.h"

#include <gtest/gtest.h>

#include "tests/serve/fake_connection.h"

namespace ktlsim::serve {
namespace {

class EchoTest : public testing::Test {
 protected:
  ~EchoTest() override { connection_.End(*handler_); }

  FakeConnection connection_;
  transport::ConnectionHandler* handler_ = MakeEcho();
};

TEST_F(EchoTest, SendsEveryByteBack) {
  connection_.Receive(*handler_, "one");
  connection_.Receive(*handler_, "two");
  EXPECT_EQ(connection_.sent, "onetwo");
  EXPECT_FALSE(connection_.paused);
}

TEST_F(EchoTest, PausesReadingUntilThereIsRoomAgain) {
  connection_.room = 4;
  connection_.Receive(*handler_, "abcdef");
  EXPECT_EQ(connection_.sent, "abcd");
  EXPECT_TRUE(connection_.paused);
  connection_.Receive(*handler_, "gh");  // may come once more after PauseReading
  connection_.GiveRoom(*handler_, 3);
  EXPECT_EQ(connection_.sent, "abcdefg");
  EXPECT_TRUE(connection_.paused);
  connection_.GiveRoom(*handler_, 10);
  EXPECT_EQ(connection_.sent, "abcdefgh");
  EXPECT_FALSE(connection_.paused);
}

TEST_F(EchoTest, SendsTheRestBeforeItClosesBehindThePeer) {
  connection_.room = 2;
  connection_.Receive(*handler_, "abc");
  handler_->OnPeerClosed(connection_, false);
  EXPECT_FALSE(connection_.closed);
  connection_.GiveRoom(*handler_, 5);
  EXPECT_EQ(connection_.sent, "abc");
  EXPECT_TRUE(connection_.closed);
}

TEST_F(EchoTest, ClosesAtOnceBehindATruncatingPeer) {
  connection_.room = 2;
  connection_.Receive(*handler_, "abc");
  handler_->OnPeerClosed(connection_, true);
  EXPECT_TRUE(connection_.closed);
}

TEST_F(EchoTest, AbortsAPeerThatIgnoresThePause) {
  connection_.room = 0;
  const std::string record(16384, 'x');
  for (int i = 0; i < 9; ++i) connection_.Receive(*handler_, record);
  EXPECT_TRUE(connection_.aborted);
}

}  // namespace
}  // namespace ktlsim::serve
