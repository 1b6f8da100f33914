/// What the clients say to servers, and what they make of the answers: whole, in pieces, and wrong ones.
#include "tests/e2e/apps/client/protocol.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep::apps {
namespace {

using namespace std::string_literals;
using ::testing::HasSubstr;
using Kind = Reply::Kind;

/// The reply to `whole`, and that no shorter beginning of it is taken for one.
Reply take_whole(Protocol& protocol, const std::string& whole, std::uint32_t pending) {
  for (std::size_t length = 0; length < whole.size(); ++length) {
    std::string part = whole.substr(0, length);
    EXPECT_FALSE(protocol.take(part, pending).has_value()) << "after " << length << " bytes";
  }
  std::string input = whole + "rest";
  const auto reply = protocol.take(input, pending);
  EXPECT_TRUE(reply.has_value());
  EXPECT_EQ(input, "rest");
  return reply.value_or(Reply{Kind::error});
}

TEST(Protocols, OnlyThoseThatThereAre) {
  for (const char* name : {"redis", "memcached", "nats-publish", "nats-subscribe", "postgres"}) {
    EXPECT_NE(make_protocol(name, 0), nullptr) << name;
  }
  EXPECT_EQ(make_protocol("", 0), nullptr);
}

TEST(RedisProtocol, TheListsLengthIsTheProof) {
  const auto redis = make_redis(3);
  EXPECT_EQ(redis->greeting(), "*1\r\n$4\r\nPING\r\n");
  EXPECT_EQ(take_whole(*redis, "+PONG\r\n", 0).kind, Kind::ready);
  EXPECT_EQ(redis->request(12), "*3\r\n$5\r\nRPUSH\r\n$6\r\nlist:3\r\n$2\r\n12\r\n");
  EXPECT_EQ(take_whole(*redis, ":12\r\n", 12).kind, Kind::acknowledged);
  EXPECT_EQ(take_whole(*redis, ":11\r\n", 12).kind, Kind::error);  // one was lost
  EXPECT_EQ(take_whole(*redis, ":13\r\n", 12).kind, Kind::error);  // one was done twice
  EXPECT_EQ(take_whole(*redis, "-LOADING\r\n", 12).kind, Kind::error);
}

TEST(MemcachedProtocol, AppendsAndBeginsAnewBeforeAValueGetsTooLong) {
  const auto memcached = make_memcached(3);
  EXPECT_EQ(take_whole(*memcached, "VERSION 1.6.18\r\n", 0).kind, Kind::ready);
  EXPECT_EQ(memcached->request(1), "set items:3:0 0 0 2\r\n1 \r\n");
  EXPECT_EQ(memcached->request(2), "append items:3:0 0 0 2\r\n2 \r\n");
  EXPECT_EQ(memcached->request(10'001), "set items:3:1 0 0 6\r\n10001 \r\n");
  EXPECT_EQ(take_whole(*memcached, "STORED\r\n", 2).kind, Kind::acknowledged);
  EXPECT_EQ(take_whole(*memcached, "NOT_STORED\r\n", 2).kind, Kind::error);
  EXPECT_EQ(take_whole(*memcached, "STORED\r\n", 0).kind, Kind::error);
}

TEST(NatsProtocol, PublishesAndIsTold) {
  const auto publisher = make_nats_publisher(3);
  EXPECT_THAT(publisher->greeting(), HasSubstr("\"verbose\":true"));
  EXPECT_EQ(publisher->request(12), "PUB numbers.3 4\r\n3 12\r\n");
  EXPECT_EQ(take_whole(*publisher, "INFO {}\r\n", 0).kind, Kind::nothing);
  EXPECT_EQ(take_whole(*publisher, "+OK\r\n", 0).kind, Kind::nothing);  // of the greeting
  EXPECT_EQ(take_whole(*publisher, "PONG\r\n", 0).kind, Kind::ready);
  EXPECT_EQ(take_whole(*publisher, "+OK\r\n", 12).kind, Kind::acknowledged);
  EXPECT_EQ(take_whole(*publisher, "-ERR 'Slow Consumer'\r\n", 12).kind, Kind::error);
  EXPECT_EQ(take_whole(*publisher, "PING\r\n", 0).answer, "PONG\r\n");
}

TEST(NatsProtocol, TheSubscriberNotesWhatArrives) {
  const auto subscriber = make_nats_subscriber();
  EXPECT_EQ(subscriber->request(1), "");
  const Reply reply = take_whole(*subscriber, "MSG numbers.3 1 4\r\n3 12\r\n", 0);
  EXPECT_EQ(reply.kind, Kind::received);
  EXPECT_EQ(reply.connection, 3U);
  EXPECT_EQ(reply.sequence, 12U);
  EXPECT_EQ(take_whole(*subscriber, "MSG numbers.3 1 2\r\nxx\r\n", 0).kind, Kind::error);
}

TEST(PostgresProtocol, CommitsOneRowEachTime) {
  const auto postgres = make_postgres(3);
  EXPECT_EQ(postgres->greeting(), "\0\0\0\x29\0\3\0\0user\0postgres\0database\0postgres\0\0"s);
  EXPECT_EQ(postgres->request(12), "Q\0\0\0\x29"s + "INSERT INTO committed VALUES (3, 12)\0"s);
  EXPECT_EQ(take_whole(*postgres, "R\0\0\0\x8\0\0\0\0"s, 0).kind, Kind::nothing);
  EXPECT_EQ(take_whole(*postgres, "Z\0\0\0\5I"s, 0).kind, Kind::ready);
  EXPECT_EQ(take_whole(*postgres, "C\0\0\0\xfINSERT 0 1\0"s, 12).kind, Kind::nothing);
  EXPECT_EQ(take_whole(*postgres, "Z\0\0\0\5I"s, 12).kind, Kind::acknowledged);
  EXPECT_EQ(take_whole(*postgres, "Z\0\0\0\5I"s, 12).kind, Kind::error) << "nothing was inserted since";
  EXPECT_EQ(take_whole(*postgres, "R\0\0\0\x8\0\0\0\3"s, 0).kind, Kind::error) << "it wants a password";
  EXPECT_THAT(take_whole(*postgres, "E\0\0\0\xcSFATAL\0\0"s, 12).text, HasSubstr("FATAL"));
}

}  // namespace
}  // namespace lockstep::apps
