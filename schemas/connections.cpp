#include "schemas/connections.hpp"

#include <algorithm>
#include <initializer_list>

namespace lockstep {
namespace {

template <class Policy>
Policy first_told(Policy member, Policy group, Policy standard) {
  if (member != Policy::inherit) return member;
  return group != Policy::inherit ? group : standard;
}

template <class Policy>
std::optional<Policy> word_of(std::string_view text, std::initializer_list<Policy> policies) {
  for (const Policy policy : policies) {
    if (to_string(policy) == text) return policy;
  }
  return std::nullopt;
}

Treatment external_treatment(const Socket& socket, const ConnectionPolicy& policy) {
  const bool allowed = std::any_of(policy.external_allow.begin(), policy.external_allow.end(),
                                   [&](const AllowRule& rule) { return matches(rule, socket.remote); });
  if (allowed || policy.external == ExternalPolicy::keep) return Treatment::restore;
  return policy.external == ExternalPolicy::refuse ? Treatment::refuse : Treatment::close;
}

}  // namespace

ConnectionPolicy resolve(const ConnectionPolicy& group, const ConnectionPolicy& member) {
  ConnectionPolicy result;
  result.external = first_told(member.external, group.external, ExternalPolicy::close);
  result.ambiguous = first_told(member.ambiguous, group.ambiguous, AmbiguousPolicy::external);
  result.revalidation = first_told(member.revalidation, group.revalidation, RevalidationPolicy::strict);
  result.external_allow = group.external_allow;
  result.external_allow.insert(result.external_allow.end(), member.external_allow.begin(), member.external_allow.end());
  return result;
}

Treatment treatment_of(const Socket& socket, const SocketLabel& label, const ConnectionPolicy& policy) {
  switch (label.label) {
    case ConnectionLabel::internal:
    case ConnectionLabel::internal_service:
    case ConnectionLabel::listening:
    case ConnectionLabel::orphaned: return Treatment::restore;
    case ConnectionLabel::finished: return Treatment::absent;
    case ConnectionLabel::half_open:
      if (socket.inode == 0) return Treatment::absent;
      // CRIU brings a connect() under way back as such. The client of a connection that waited in an accept queue finds
      // nobody at the other end: that queue is in no image.
      return socket.state == TcpState::syn_sent ? Treatment::restore : Treatment::close;
    case ConnectionLabel::ambiguous:
      if (policy.ambiguous == AmbiguousPolicy::refuse) return Treatment::refuse;
      if (policy.ambiguous == AmbiguousPolicy::internal && label.has_peer()) return Treatment::restore;
      return external_treatment(socket, policy);
    case ConnectionLabel::external: return external_treatment(socket, policy);
  }
  return Treatment::refuse;
}

std::string_view to_string(ConnectionLabel label) {
  switch (label) {
    case ConnectionLabel::external: return "external";
    case ConnectionLabel::internal: return "internal";
    case ConnectionLabel::internal_service: return "internal-service";
    case ConnectionLabel::listening: return "listening";
    case ConnectionLabel::half_open: return "half-open";
    case ConnectionLabel::orphaned: return "orphaned";
    case ConnectionLabel::finished: return "finished";
    case ConnectionLabel::ambiguous: return "ambiguous";
  }
  return "?";
}

std::string_view to_string(Doubt doubt) {
  switch (doubt) {
    case Doubt::none: return "none";
    case Doubt::several_candidates: return "several sockets could be the other end";
    case Doubt::unconfirmed: return "neither byte counts nor conntrack confirm the other end";
    case Doubt::counts_differ: return "the byte counts of the two ends do not fit";
    case Doubt::source_translated: return "the client's address is translated";
    case Doubt::peer_unseen: return "a member listens there, but none of its sockets is the other end";
  }
  return "?";
}

std::string_view to_string(ExternalPolicy policy) {
  switch (policy) {
    case ExternalPolicy::inherit: return "inherit";
    case ExternalPolicy::close: return "close";
    case ExternalPolicy::keep: return "keep";
    case ExternalPolicy::refuse: return "refuse";
  }
  return "?";
}

std::string_view to_string(AmbiguousPolicy policy) {
  switch (policy) {
    case AmbiguousPolicy::inherit: return "inherit";
    case AmbiguousPolicy::external: return "external";
    case AmbiguousPolicy::internal: return "internal";
    case AmbiguousPolicy::refuse: return "refuse";
  }
  return "?";
}

std::string_view to_string(RevalidationPolicy policy) {
  switch (policy) {
    case RevalidationPolicy::inherit: return "inherit";
    case RevalidationPolicy::strict: return "strict";
    case RevalidationPolicy::warn: return "warn";
  }
  return "?";
}

std::string_view to_string(Treatment treatment) {
  switch (treatment) {
    case Treatment::restore: return "restore";
    case Treatment::close: return "close";
    case Treatment::refuse: return "refuse";
    case Treatment::absent: return "absent";
  }
  return "?";
}

std::optional<ExternalPolicy> external_policy_from(std::string_view text) {
  return word_of(text, {ExternalPolicy::close, ExternalPolicy::keep, ExternalPolicy::refuse});
}

std::optional<AmbiguousPolicy> ambiguous_policy_from(std::string_view text) {
  return word_of(text, {AmbiguousPolicy::external, AmbiguousPolicy::internal, AmbiguousPolicy::refuse});
}

std::optional<RevalidationPolicy> revalidation_policy_from(std::string_view text) {
  return word_of(text, {RevalidationPolicy::strict, RevalidationPolicy::warn});
}

}  // namespace lockstep
