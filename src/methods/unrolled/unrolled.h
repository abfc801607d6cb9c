// Methods that learn through whole trainings.
#pragma once

#include <memory>

#include "retort/methods/method.h"

namespace retort::methods {

std::unique_ptr<Method> make_bptt();
std::unique_ptr<Method> make_dd();

}  // namespace retort::methods
