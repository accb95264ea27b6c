# A web server and a mail server that do not name their product, and a web server that does.

no_directory
host web1 12
host www2 14 $LINUX_TTL
host pc1 101
web_server web1
web_server www2 nginx
mail_server web1

# Plain, remote management's port, TLS 1.3 and 1.2; then the other host, whose Server header and initial TTL say
# that it is no Windows machine.
capture http_https
fetch pc1 http://$NET.12/report.txt
fetch pc1 http://$NET.12:5985/wsman
fetch pc1 https://$NET.12/figures.csv
fetch pc1 --tls-max 1.2 https://$NET.12/report.txt
fetch pc1 http://$NET.14/report.txt
fetch pc1 https://$NET.14/report.txt
captured

capture mail
client pc1 swaks --server $NET.12 --to bob@office.example --from alice@office.example --helo pc1
client pc1 curl -sS pop3://alice:secret@$NET.12/
client pc1 curl -sS imap://alice:secret@$NET.12/
captured
