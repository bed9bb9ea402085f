// The BIO that OpenSSL has instead of a socket.
#include "tls/handshake/flat_buffers.h"

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tls/openssl_handles.h"

namespace ktlsim::tls {
namespace {

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(FlatBuffersTest, AReadAfterTheInputIsToBeRetried) {
  FlatBuffers buffers;
  const BioPtr bio(buffers.NewBio());
  ASSERT_NE(bio, nullptr);
  std::array<char, 4> out{};
  EXPECT_EQ(BIO_read(bio.get(), out.data(), 4), -1);
  EXPECT_TRUE(BIO_should_retry(bio.get()));

  const std::string input = "abcdef";
  buffers.SetInput(Bytes(input));
  EXPECT_EQ(BIO_read(bio.get(), out.data(), 4), 4);
  EXPECT_FALSE(BIO_should_retry(bio.get()));
  EXPECT_EQ(buffers.input_left(), 2U);
  EXPECT_EQ(BIO_read(bio.get(), out.data(), 4), 2);
  EXPECT_EQ(std::string(out.data(), 2), "ef");
  EXPECT_EQ(BIO_read(bio.get(), out.data(), 4), -1);
  EXPECT_TRUE(BIO_should_retry(bio.get()));
}

TEST(FlatBuffersTest, OutputStaysUntilItIsDiscarded) {
  FlatBuffers buffers;
  const BioPtr bio(buffers.NewBio());
  ASSERT_NE(bio, nullptr);
  EXPECT_EQ(BIO_write(bio.get(), "abc", 3), 3);
  EXPECT_EQ(BIO_write(bio.get(), "de", 2), 2);
  EXPECT_EQ(BIO_flush(bio.get()), 1);
  EXPECT_EQ(Text(buffers.output()), "abcde");
  buffers.DiscardOutput(2);
  EXPECT_EQ(Text(buffers.output()), "cde");
  EXPECT_EQ(BIO_write(bio.get(), "f", 1), 1);
  EXPECT_EQ(Text(buffers.output()), "cdef");
  buffers.DiscardOutput(100);
  EXPECT_TRUE(buffers.output().empty());
  EXPECT_EQ(BIO_write(bio.get(), "g", 1), 1);
  EXPECT_EQ(Text(buffers.output()), "g");
}

TEST(FlatBuffersTest, OutputHasABound) {
  FlatBuffers buffers;
  const BioPtr bio(buffers.NewBio());
  ASSERT_NE(bio, nullptr);
  const std::vector<char> half(512 * 1024);
  const int size = static_cast<int>(half.size());
  EXPECT_EQ(BIO_write(bio.get(), half.data(), size), size);
  EXPECT_EQ(BIO_write(bio.get(), half.data(), size), size);
  EXPECT_EQ(BIO_write(bio.get(), half.data(), 1), -1);
  EXPECT_FALSE(BIO_should_retry(bio.get()));
  EXPECT_EQ(buffers.output().size(), 2 * half.size());
}

}  // namespace
}  // namespace ktlsim::tls
