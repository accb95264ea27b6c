#!/bin/bash
# Installs what the recorder needs on Debian 12: the servers, their clients, tcpdump and tshark by apt;
# impacket, scapy and aiosmtpd into a Python environment of their own.
#
#   setup.sh VENV        then: LAB_PYTHON=VENV/bin/python3 record.sh
set -euo pipefail
venv=${1:?setup.sh VENV: the folder for the Python environment}

packages=(
  # namespaces, capturing, reading
  iproute2 ethtool procps util-linux iputils-ping tcpdump tshark openssl
  # domain controller, file server and their clients
  samba samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind smbclient
  samba-common-bin python3-samba python3-markdown python3-dnspython
  ldap-utils krb5-user dnsutils libsasl2-modules-gssapi-mit
  # files, mail, web
  vsftpd tftpd-hpa tftp-hpa curl dovecot-imapd dovecot-pop3d swaks
  nginx-light libnginx-mod-http-headers-more-filter
  # network services
  freeradius freeradius-utils snmpd snmp snmptrapd chrony ntpsec-ntpdig dnsmasq-base udhcpc isc-dhcp-client
  telnetd telnet inetutils-inetd leafnode lprng rlpr xrdp freerdp2-x11 xvfb xauth
  gir1.2-gssdp-1.6 gssdp-tools python3-gi
  gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-base
  # tunnels
  xl2tpd pptpd pptp-linux strongswan strongswan-swanctl libcharon-extra-plugins libstrongswan-standard-plugins
)

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y --no-install-recommends "${packages[@]}"

python3 -m venv "$venv"
"$venv/bin/pip" install impacket==0.13.1 scapy==2.8.0 aiosmtpd==1.4.6
