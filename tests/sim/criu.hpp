/// One run of CRIU for one member, as far as its action script can tell: which hooks it runs in which order, and what
/// it does when one fails (criu/cr-dump.c, cr_dump_finish; criu/cr-restore.c, restore_root_task). Pure.
#pragma once

#include <cstdint>

#include "schemas/messages.hpp"

namespace lockstep::sim {

class Criu {
 public:
  /// What it does next.
  enum class Next : std::uint8_t {
    hook,    ///< runs the action script: action()
    work,    ///< is busy for a while, then on_worked()
    vanish,  ///< ends the tasks, whose sockets go; then on_worked()
    appear,  ///< makes the tasks and their sockets; then on_worked()
    end,     ///< exits: ok()
  };

  Criu(Operation operation, bool leave_running) : operation_(operation), leave_running_(leave_running) {
    action_ = operation == Operation::dump ? HookAction::pre_dump : HookAction::pre_restore;
  }
  /// It will fail by itself while it dumps.
  void make_fail() { fails_ = true; }

  [[nodiscard]] Next on_hook_exit(bool ok) { return operation_ == Operation::dump ? dump_hook(ok) : restore_hook(ok); }
  [[nodiscard]] Next on_worked() {
    if (ending_) return Next::end;
    if (operation_ == Operation::dump && action_ == HookAction::network_lock && fails_) return fail_dump();
    action_ = following();
    return Next::hook;
  }
  [[nodiscard]] HookAction action() const { return action_; }
  [[nodiscard]] Operation operation() const { return operation_; }
  [[nodiscard]] bool ok() const { return !failed_; }

 private:
  [[nodiscard]] HookAction following() const {
    switch (action_) {
      case HookAction::pre_dump: return HookAction::network_lock;
      case HookAction::network_lock: return HookAction::post_dump;
      case HookAction::pre_restore: return HookAction::setup_namespaces;
      case HookAction::setup_namespaces: return HookAction::post_restore;
      default: return HookAction::network_unlock;
    }
  }
  [[nodiscard]] Next fail_dump() {
    failed_ = true;
    action_ = HookAction::network_unlock;
    return Next::hook;
  }
  [[nodiscard]] Next dump_hook(bool ok) {
    if (action_ == HookAction::network_unlock) return Next::end;  // its exit code is ignored
    if (action_ == HookAction::pre_dump) {
      failed_ = !ok;
      return ok ? Next::work : Next::end;
    }
    if (!ok) return fail_dump();
    if (action_ == HookAction::network_lock) return Next::work;
    if (leave_running_) {
      action_ = HookAction::network_unlock;
      return Next::hook;
    }
    ending_ = true;
    return Next::vanish;
  }
  [[nodiscard]] Next restore_hook(bool ok) {
    if (action_ == HookAction::network_unlock) return Next::end;
    if (action_ == HookAction::pre_restore) {
      failed_ = !ok;
      return ok ? Next::work : Next::end;
    }
    if (!ok) {
      failed_ = ending_ = true;
      return Next::vanish;
    }
    if (action_ == HookAction::setup_namespaces) return Next::appear;
    action_ = HookAction::network_unlock;
    return Next::hook;
  }

  Operation operation_;
  bool leave_running_;
  HookAction action_;
  bool fails_ = false;
  bool failed_ = false;
  bool ending_ = false;
};

}  // namespace lockstep::sim
