#include "backend/registry.h"
#include "check.h"

int main(int count, char** arguments) {
  latte::environment_opened();
  const int status = latte::test::main(count, arguments);
  latte::environment_closed(true);
  return status;
}
