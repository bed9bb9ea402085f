// What a traced call becomes in the file for the viewer.
#include "kernel_sim/command/trace_file.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/base/call_trace.h"
#include "tests/support/temporary_folder.h"

namespace ktlsim::command {
namespace {

nlohmann::json Events(const ktlsim::CallRecord& record) {
  std::string text = "[\n";
  AppendTraceEvents(record, &text);
  EXPECT_TRUE(text.ends_with("},\n"));
  text.resize(text.size() - 2);
  return nlohmann::json::parse(text + "]", nullptr, false);
}

std::vector<std::string> Names(const nlohmann::json& events) {
  std::vector<std::string> names;
  for (const nlohmann::json& event : events) {
    names.push_back(event["ph"].get<std::string>() + " " + event["name"].get<std::string>());
  }
  return names;
}

TEST(TraceFileTest, ACallIsASliceWithItsStagesInIt) {
  ktlsim::CallRecord record;
  record.accepted_ns = 1'000'000'001;
  record.started_ns = 1'000'002'000;
  record.published_ns = 1'000'003'000;
  record.callback_ns = 1'000'004'000;
  record.ended_ns = 1'000'005'123;
  record.async_context = 0xABC;
  record.lane = "handshake";
  record.status = static_cast<std::int32_t>(0x90312);
  record.number = 26;
  record.processor = 3;
  record.submitter = 2;
  record.on_processor = true;
  const nlohmann::json events = Events(record);
  ASSERT_TRUE(events.is_array());
  EXPECT_EQ(Names(events),
            (std::vector<std::string>{"b handshake call", "b queued", "e queued", "b served",
                                      "e served", "b notified", "e notified", "b callback",
                                      "e callback", "e handshake call"}));
  for (const nlohmann::json& event : events) {
    EXPECT_EQ(event["cat"], "handshake");
    EXPECT_EQ(event["id"], "0x1a");
    EXPECT_EQ(event["pid"], 4);
  }
  EXPECT_EQ(events[0]["ts"], 1'000'000.001) << "microseconds";
  EXPECT_EQ(events[9]["ts"], 1'000'005.123);
  EXPECT_EQ(events[0]["args"]["async_context"], "0xabc");
  EXPECT_EQ(events[0]["args"]["status_name"], "SEC_I_CONTINUE_NEEDED");
  EXPECT_EQ(events[0]["args"]["submitted_by"], "processor 2");
  EXPECT_EQ(events[0]["args"]["callback_on"], "processor");
}

TEST(TraceFileTest, WhatACallHasNotHadIsNotThere) {
  ktlsim::CallRecord cancelled;
  cancelled.accepted_ns = 1000;
  cancelled.published_ns = 2000;
  cancelled.callback_ns = 3000;
  cancelled.ended_ns = 4000;
  cancelled.lane = "record";
  cancelled.submitter = ktlsim::CallRecord::kForeign;
  EXPECT_EQ(Names(Events(cancelled)),
            (std::vector<std::string>{"b record call", "b queued", "e queued", "b notified",
                                      "e notified", "b callback", "e callback", "e record call"}));
  ktlsim::CallRecord synchronous;
  synchronous.accepted_ns = 1000;
  synchronous.started_ns = 1000;
  synchronous.published_ns = 2000;
  synchronous.ended_ns = 2000;
  synchronous.lane = "record";
  const nlohmann::json events = Events(synchronous);
  EXPECT_EQ(Names(events), (std::vector<std::string>{"b record call", "b queued", "e queued",
                                                     "b served", "e served", "e record call"}));
  EXPECT_EQ(events[0]["args"]["callback_on"], "none");
}

TEST(TraceFileTest, AFileThatCannotBeWrittenIsAnErrorWithItsName) {
  std::string error;
  EXPECT_EQ(TraceFile::Open({}, &error), nullptr);
  EXPECT_EQ(error, "") << "none is asked for";
  EXPECT_EQ(TraceFile::Open({.file = "/nonexistent/trace"}, &error), nullptr);
  EXPECT_NE(error.find("--trace /nonexistent/trace: "), std::string::npos) << error;
}

TEST(TraceFileTest, AFullDiskEndsTheTraceAndIsReported) {
  std::string error;
  const std::unique_ptr<TraceFile> file = TraceFile::Open({.file = "/dev/full"}, &error);
  ASSERT_NE(file, nullptr) << error;
  EXPECT_NE(file->Close().find("No space left on device"), std::string::npos);
}

TEST(TraceFileTest, ItTellsNoAddresses) {
  const int one = 0;
  const int other = 0;
  const auto order = [](const void* of) {
    ktlsim::CallRecord record;
    record.accepted_ns = 1;
    record.ended_ns = 2;
    record.lane = "record";
    record.order = of;
    return std::stoull(Events(record)[0]["args"]["order"].get<std::string>(), nullptr, 16);
  };
  EXPECT_EQ(order(&one), order(&one));
  EXPECT_NE(order(&one), order(&other));
  EXPECT_NE(order(&one), reinterpret_cast<std::uintptr_t>(&one));
  EXPECT_EQ(order(nullptr), 0U);
}

}  // namespace
}  // namespace ktlsim::command
