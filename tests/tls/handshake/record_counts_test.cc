// Counts of records, whatever records a handshake was cut into.
#include "tls/handshake/record_counts.h"

#include <vector>

#include <gtest/gtest.h>

namespace ktlsim::tls {
namespace {

using Bytes = std::vector<std::byte>;

void Append(Bytes& out, ContentType type, std::size_t length, std::uint8_t last_nonce_byte = 0) {
  out.insert(out.end(), {static_cast<std::byte>(type), std::byte{3}, std::byte{3},
                         static_cast<std::byte>(length >> 8), static_cast<std::byte>(length)});
  Bytes body(length, std::byte{0});
  if (length >= kExplicitNonceBytes) {
    body[0] = std::byte{1};
    body[kExplicitNonceBytes - 1] = std::byte{last_nonce_byte};
  }
  out.insert(out.end(), body.begin(), body.end());
}

TEST(RecordCountsTest, RecordsOfOneCall) {
  RecordCounts counts;
  Bytes written;
  Append(written, ContentType::kHandshake, 300);
  Append(written, ContentType::kHandshake, 0);
  counts.NoteWritten(written);
  EXPECT_EQ(counts.in_last_call(), 2U);
  EXPECT_EQ(counts.last_explicit_nonce(), 0U) << "nothing was protected yet";
  counts.NoteWritten({});
  EXPECT_EQ(counts.in_last_call(), 0U);
}

TEST(RecordCountsTest, CountsFromChangeCipherSpec) {
  RecordCounts counts;
  Bytes written;
  Append(written, ContentType::kHandshake, 70);
  Append(written, ContentType::kChangeCipherSpec, 1);
  Append(written, ContentType::kHandshake, 40, 7);
  Append(written, ContentType::kHandshake, 24, 8);
  counts.NoteWritten(written);
  EXPECT_EQ(counts.in_last_call(), 4U);
  EXPECT_EQ(counts.written_since_change(), 2U);
  EXPECT_EQ(counts.last_explicit_nonce(), std::uint64_t{1} << 56 | 8);
  EXPECT_EQ(counts.read_since_change(), 0U) << "each direction has its own";
  EXPECT_FALSE(counts.change_cipher_spec_read());
}

TEST(RecordCountsTest, TheCountGoesOnInTheNextCall) {
  RecordCounts counts;
  Bytes first;
  Append(first, ContentType::kChangeCipherSpec, 1);
  counts.NoteWritten(first);
  Bytes second;
  Append(second, ContentType::kHandshake, 40, 1);
  counts.NoteWritten(second);
  EXPECT_EQ(counts.in_last_call(), 1U);
  EXPECT_EQ(counts.written_since_change(), 1U);
}

TEST(RecordCountsTest, WhatIsRead) {
  RecordCounts counts;
  counts.NoteRead(ContentType::kHandshake);
  EXPECT_FALSE(counts.change_cipher_spec_read());
  counts.NoteRead(ContentType::kChangeCipherSpec);
  EXPECT_TRUE(counts.change_cipher_spec_read());
  EXPECT_EQ(counts.read_since_change(), 0U);
  counts.NoteRead(ContentType::kHandshake);
  counts.NoteRead(ContentType::kHandshake);
  EXPECT_TRUE(counts.change_cipher_spec_read());
  EXPECT_EQ(counts.read_since_change(), 2U);
  EXPECT_EQ(counts.written_since_change(), 0U);
}

// OpenSSL writes whole records only. If it did not, nothing would be read beyond the end.
TEST(RecordCountsTest, ACutRecordIsNotCounted) {
  RecordCounts counts;
  Bytes written;
  Append(written, ContentType::kHandshake, 10);
  Append(written, ContentType::kHandshake, 20);
  for (std::size_t size = 0; size < written.size(); ++size) {
    counts.NoteWritten(std::span(written).first(size));
    EXPECT_EQ(counts.in_last_call(), size < kRecordHeaderBytes + 10 ? 0U : 1U) << size;
  }
}

}  // namespace
}  // namespace ktlsim::tls
