# What "cmake --install" puts beside the programs: units that name them where they are installed to
# (in the source they are under /usr/local), and the completions that the command itself prints.
set(top "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}")

function(install_unit source target)
    file(READ "${packaging}/${source}" text)
    string(REPLACE "/usr/local/" "${CMAKE_INSTALL_PREFIX}/" text "${text}")
    file(WRITE "${top}/${target}" "${text}")
    message(STATUS "Installing: ${top}/${target}")
endfunction()

function(install_completion shell target)
    execute_process(COMMAND "${mainstay}" completion ${shell} OUTPUT_VARIABLE text RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
        message(FATAL_ERROR "${mainstay} completion ${shell} failed")
    endif()
    file(WRITE "${top}/${target}" "${text}")
    message(STATUS "Installing: ${top}/${target}")
endfunction()

function(install_manual target)
    execute_process(COMMAND "${mainstay_man}" "${CMAKE_INSTALL_PREFIX}" "${packaging}/man" "${top}/${target}"
        RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
        message(FATAL_ERROR "${mainstay_man} failed")
    endif()
    message(STATUS "Installing: ${top}/${target}")
endfunction()

install_manual(share/man)
install_unit(systemd/mainstayd.service lib/systemd/system/mainstayd.service)
install_unit(etcd/etcd-snapshot.yaml share/mainstay/etcd-snapshot.yaml)
install_unit(systemd/mainstay-etcd-snapshot.service lib/systemd/system/mainstay-etcd-snapshot.service)
install_unit(systemd/mainstay-etcd-snapshot.timer lib/systemd/system/mainstay-etcd-snapshot.timer)
install_unit(systemd/mainstay.catalog lib/systemd/catalog/mainstay.catalog)
# A package leaves that to systemd's own trigger.
if("$ENV{DESTDIR}" STREQUAL "" AND EXISTS /run/systemd/system)
    execute_process(COMMAND journalctl --update-catalog)
endif()
install_unit(monit/mainstayd share/mainstay/monit/mainstayd)
install_unit(monit/mainstay-control-plane share/mainstay/monit/mainstay-control-plane)
install_completion(bash share/bash-completion/completions/mainstay)
install_completion(zsh share/zsh/site-functions/_mainstay)
install_unit(completions/daemons.bash share/bash-completion/completions/mainstayd)
install_unit(completions/daemons.bash share/bash-completion/completions/podmaster)
install_unit(completions/_mainstayd share/zsh/site-functions/_mainstayd)
install_unit(podmaster/podmaster.yaml share/doc/mainstay-podmaster/examples/podmaster.yaml)
install_unit("systemd/mainstay-podmaster@.service" "lib/systemd/system/mainstay-podmaster@.service")

# For the other inits: examples, of which a package or an operator takes one.
function(install_script source target)
    install_unit("${source}" "${target}")
    file(CHMOD "${top}/${target}" PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
         WORLD_READ WORLD_EXECUTE)
endfunction()

foreach(file default/mainstay default/mainstay-podmaster logrotate/mainstayd openrc/mainstayd.confd
        s6/mainstayd/notification-fd)
    install_unit("${file}" "share/mainstay/${file}")
endforeach()
foreach(file sysv/mainstayd openrc/mainstayd runit/mainstayd/run runit/mainstayd/finish runit/mainstayd/check
        runit/mainstayd/log/run s6/mainstayd/run s6/mainstayd/data/check)
    install_script("${file}" "share/mainstay/${file}")
endforeach()

# What belongs to the whole system goes to its places only where the programs do (a package: /usr).
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    install_unit(default/mainstay ../etc/default/mainstay)
    install_unit(default/mainstay-podmaster ../etc/default/mainstay-podmaster)
    install_unit(logrotate/mainstayd ../etc/logrotate.d/mainstayd)
    install_script(sysv/mainstayd ../etc/init.d/mainstayd)
endif()

install_script(stop-pods libexec/mainstay/stop-pods)
install_script(before-removal libexec/mainstay/before-removal)
