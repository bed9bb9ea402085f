// ScriptedRedis: a server on a loop of the test that says what the test wants: every reply, every
// error, nothing, or a part of a reply before the connection ends.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "io/stream.h"
#include "tests/io/ring_test_support.h"

namespace ktlsim::context_store {

using Command = std::vector<std::string>;

inline std::string Bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

class ScriptedRedis {
 public:
  explicit ScriptedRedis(io::Ring& ring) : ring_(ring) { Listen(io::Address::Loopback(0)); }
  ~ScriptedRedis() {
    StopListening();
    Disconnect();
    EXPECT_TRUE(io::TurnUntil(ring_, [&] { return links_.empty(); }));
  }
  ScriptedRedis(const ScriptedRedis&) = delete;
  ScriptedRedis& operator=(const ScriptedRedis&) = delete;

  const io::Address& address() const { return address_; }
  void StopListening() {
    if (listener_ == io::kNoSocket) return;
    ring_.Cancel(acceptor_);
    EXPECT_TRUE(io::TurnUntil(ring_, [&] { return acceptor_.ended; }));
    ring_.Close(std::exchange(listener_, io::kNoSocket));
  }
  void ListenAgain() { Listen(address_); }
  // Ends all connections.
  void Disconnect() {
    for (const auto& link : links_) link->Close();
  }

  // The reply to everything but the login; nothing: no reply.
  std::function<std::optional<std::string>(const Command&)> reply = [](const Command&) {
    return std::optional<std::string>("*1\r\n:0\r\n");
  };
  // Of the login; a reply that is set here takes the place of the usual one.
  std::string run_id = "run-1";
  std::string role = "master";
  std::string mode = "standalone";
  std::optional<std::string> login_reply;
  // So many bytes of replies leave after the login, then the connection ends.
  std::optional<std::size_t> cut_after;
  bool silent = false;

  std::vector<Command> commands;  // all that came
  int connections = 0;

 private:
  class Acceptor final : public io::AcceptOperation {
   public:
    explicit Acceptor(ScriptedRedis& redis) : redis_(redis) {}
    void OnAccepted(io::SocketId socket) override { redis_.Accepted(socket); }
    void OnAcceptEnded(Status) override { ended = true; }
    bool ended = false;

   private:
    ScriptedRedis& redis_;
  };

  class Link final : public io::StreamHandler {
   public:
    Link(ScriptedRedis& redis, io::SocketId socket)
        : redis_(redis), stream_(redis.ring_, socket, *this) {
      stream_.ResumeReceiving();
    }
    void Close() { stream_.Close(io::Stream::CloseMode::kGraceful); }
    void OnReceived(io::BufferLease bytes) override {
      input_.append(reinterpret_cast<const char*>(bytes.bytes().data()), bytes.bytes().size());
      bytes.Reset();
      while (std::optional<Command> command = Next()) {
        redis_.commands.push_back(*command);
        if (!redis_.silent) Reply(*command);
      }
      Flush();
    }
    void OnReceiveEnded(Status) override { Close(); }
    void OnSent(Status) override {
      sending_.clear();
      if (ending_) {
        Close();
      } else {
        Flush();
      }
    }
    void OnClosed() override { redis_.Closed(*this); }

   private:
    void Reply(const Command& command) {
      std::string text;
      if (std::optional<std::string> login = redis_.LoginReply(command)) {
        text = *login;
      } else {
        text = redis_.reply(command).value_or("");
        if (redis_.cut_after) {
          const std::size_t rest = *redis_.cut_after - replied_;
          ending_ = ending_ || text.size() >= rest;
          text.resize(std::min(text.size(), rest));
          replied_ += text.size();
        }
      }
      output_ += text;
    }
    void Flush() {
      if (stream_.sending() || stream_.closing()) return;
      if (output_.empty()) {
        if (ending_) Close();
        return;
      }
      std::swap(sending_, output_);
      stream_.Send(io::AsBytes(sending_));
    }
    // "*2\r\n$3\r\nGET\r\n$1\r\na\r\n"
    std::optional<Command> Next() {
      std::size_t at = 0;
      const auto number = [&](char first) -> std::optional<std::size_t> {
        const std::size_t end = input_.find("\r\n", at);
        if (end == std::string::npos || input_[at] != first) return std::nullopt;
        const std::size_t value = std::stoul(input_.substr(at + 1, end - at - 1));
        at = end + 2;
        return value;
      };
      const std::optional<std::size_t> count = number('*');
      if (!count) return std::nullopt;
      Command command;
      for (std::size_t i = 0; i < *count; ++i) {
        const std::optional<std::size_t> size = number('$');
        if (!size || input_.size() < at + *size + 2) return std::nullopt;
        command.push_back(input_.substr(at, *size));
        at += *size + 2;
      }
      input_.erase(0, at);
      return command;
    }

    ScriptedRedis& redis_;
    io::Stream stream_;
    std::string input_;
    std::string output_;
    std::string sending_;
    std::size_t replied_ = 0;
    bool ending_ = false;
  };

  void Listen(const io::Address& where) {
    listener_ = ring_.Listen(where, {}).value();
    address_ = ring_.LocalAddress(listener_).value();
    acceptor_.ended = false;
    ring_.StartAccept(acceptor_, listener_);
  }
  void Accepted(io::SocketId socket) {
    ++connections;
    links_.push_back(std::make_unique<Link>(*this, socket));
  }
  void Closed(const Link& gone) {
    links_.remove_if([&](const std::unique_ptr<Link>& link) { return link.get() == &gone; });
  }
  std::optional<std::string> LoginReply(const Command& command) const {
    if (command[0] != "AUTH" && command[0] != "SELECT" && command[0] != "INFO") return std::nullopt;
    if (login_reply) return login_reply;
    if (command[0] != "INFO") return "+OK\r\n";
    if (command[1] == "server") {
      return Bulk("# Server\r\nredis_mode:" + mode + "\r\nrun_id:" + run_id + "\r\n");
    }
    return Bulk("# Replication\r\nrole:" + role + "\r\nmaster_replid:" + run_id + "-r\r\n");
  }

  io::Ring& ring_;
  io::Address address_;
  io::SocketId listener_ = io::kNoSocket;
  Acceptor acceptor_{*this};
  std::list<std::unique_ptr<Link>> links_;
};

}  // namespace ktlsim::context_store
