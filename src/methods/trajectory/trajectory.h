// Methods that match the training trajectories of experts.
#pragma once

#include <memory>

#include "retort/methods/method.h"

namespace retort::methods {

std::unique_ptr<Method> make_mtt();
std::unique_ptr<Method> make_ftd();
std::unique_ptr<Method> make_tesla();
std::unique_ptr<Method> make_datm();

}  // namespace retort::methods
