# FTP in its four ways and on other ports, TFTP.

SRV=$NET.12
no_directory
host web1 12
host pc1 101
ftp_server web1 21
ftp_server web1 4131
tftp_server web1

# Passive by EPSV and PASV, active by PORT and EPRT; data connections of active FTP come from 20.
capture ftp
fetch pc1 ftp://$SRV/report.txt
fetch pc1 --disable-epsv ftp://$SRV/figures.csv
fetch pc1 -P - --disable-eprt ftp://$SRV/report.txt
fetch pc1 -P - ftp://$SRV/figures.csv
captured

# The control port moved to 4131: active data connections come from 4130.
capture ftp_4131
fetch pc1 -P - --disable-eprt ftp://$SRV:4131/report.txt
fetch pc1 --disable-epsv ftp://$SRV:4131/report.txt
captured

# Read, write and a file that is not there; transfers run between ports that only the first datagram explains.
capture tftp
echo note >$LAB/pc1/note.txt
client pc1 sh -c "printf '%s\n' 'mode binary' 'get report.txt $LAB/pc1/got' 'put $LAB/pc1/note.txt note.txt' quit | tftp $SRV"
fetch pc1 tftp://$SRV/figures.csv
fetch pc1 tftp://$SRV/missing.txt
captured
